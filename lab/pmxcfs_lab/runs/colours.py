"""Colours and marks of the report. Each is told apart without its colour too, by form or hatch.

All have a contrast of 3 and more to the light and to the dark page, and the four results stay apart
for people who see no red or no green.
"""

from pmxcfs_lab.runs.calls import Result
from pmxcfs_lab.runs.timelines import Condition

RESULTS = {
    Result.OK: "#3f7fd0",
    Result.FAIL: "#cf6a00",
    Result.UNKNOWN: "#8b5cf6",
    Result.UNANSWERED: "#6b7f86",
}

RESULT_MARKS = {
    Result.OK: "circle",
    Result.FAIL: "x",
    Result.UNKNOWN: "triangle",
    Result.UNANSWERED: "square",
}

CONDITIONS = {
    Condition.SYNCED: "#1f8a70",
    Condition.SYNCING: "#3f7fd0",
    Condition.NO_QUORUM: "#bf6d00",
    Condition.NO_PMXCFS: "#7a7f87",
    Condition.NO_COROSYNC: "#8a6f6f",
}

CONDITION_HATCHES = {
    Condition.SYNCED: "blank",
    Condition.SYNCING: "dot",
    Condition.NO_QUORUM: "right_diagonal_line",
    Condition.NO_PMXCFS: "cross",
    Condition.NO_COROSYNC: "diagonal_cross",
}

NODES = (
    "#0b78c4",
    "#d0560a",
    "#0e9070",
    "#c25a94",
    "#a67c00",
    "#5b8fb0",
    "#7b5ea7",
    "#8c6d46",
    "#6c757d",
)

FAULT = "#c2418f"
VIOLATION = "#dc2f3c"
LEADER = "#a67c00"
PERCENTILES = {"p99": "#a67c00", "median": "#0e9070"}
