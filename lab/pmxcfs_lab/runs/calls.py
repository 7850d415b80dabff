"""The calls of a run as columns: what was called, from when to when, and how it ended."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pmxcfs_lab.runs.folder import CallEvent

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Result(IntEnum):
    """How a call ended."""

    OK = 0
    FAIL = 1
    UNKNOWN = 2
    UNANSWERED = 3
    """It had not ended when the run did."""


RESULT_OF_PHASE = {"ok": Result.OK, "fail": Result.FAIL, "unknown": Result.UNKNOWN}


class Names:
    """Numbers for names, while they are read in any order."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Return the name's number."""
        return self._numbers.setdefault(name, len(self._numbers))

    def in_order(self, numbers: Integers) -> tuple[Integers, list[str]]:
        """Return the names as people order them (node9 before node10) and numbers that fit."""
        names = list(self._numbers)
        order = sorted(range(len(names)), key=lambda number: _natural(names[number]))
        place = np.empty(len(names), dtype=np.int64)
        place[order] = np.arange(len(names))
        return place[numbers], [names[number] for number in order]


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


@dataclass(frozen=True, slots=True)
class Calls:
    """All calls, one an index of every column, by their begin.

    Attributes:
        id: the call's number in the history.
        start: s.
        end: s; the run's end for a call without an answer.
        client, node, call, path, errno: numbers into the lists of names.
        result: a `Result`.
    """

    id: Integers
    start: Floats
    end: Floats
    client: Integers
    node: Integers
    call: Integers
    path: Integers
    errno: Integers
    result: Integers
    clients: list[str]
    nodes: list[str]
    kinds: list[str]
    paths: list[str]
    errnos: list[str]

    def __len__(self) -> int:
        return len(self.id)

    @property
    def ms(self) -> Floats:
        """How long each call took, in milliseconds."""
        return (self.end - self.start) * 1000.0

    def count(self, result: Result) -> int:
        """Return how many calls ended so."""
        return int(np.count_nonzero(self.result == result))


@dataclass(slots=True)
class _Row:
    start: float
    end: float | None
    numbers: tuple[int, ...]
    result: Result = Result.UNANSWERED
    errno: int = 0


@dataclass(slots=True)
class _Table:
    clients: Names = field(default_factory=Names)
    nodes: Names = field(default_factory=Names)
    kinds: Names = field(default_factory=Names)
    paths: Names = field(default_factory=Names)
    errnos: Names = field(default_factory=Names)
    rows: dict[int, _Row] = field(default_factory=dict)

    def add(self, event: CallEvent) -> None:
        row = self.rows.get(event.id)
        if row is None:
            row = _Row(event.t, None, (event.id, *self._numbers(event)))
            self.rows[event.id] = row
        if event.phase != "invoke":
            row.end = event.t
            row.result = RESULT_OF_PHASE[event.phase]
            row.errno = self.errnos.number("" if event.errno is None else str(event.errno))

    def _numbers(self, event: CallEvent) -> tuple[int, int, int, int]:
        return (
            self.clients.number(event.client),
            self.nodes.number(event.node),
            self.kinds.number(event.call),
            self.paths.number(event.path),
        )


def read_calls(events: Iterable[CallEvent], until_s: float) -> Calls:
    """Return the calls that a history's moments make up.

    An end without a begin is a call that took no time: its begin was not recorded.

    Args:
        events: as recorded.
        until_s: when the run ended, for the calls without an answer; an event may be later.
    """
    table = _Table()
    table.errnos.number("")
    for event in events:
        table.add(event)
        until_s = max(until_s, event.t)
    return _columns(table, until_s)


def _columns(table: _Table, until_s: float) -> Calls:
    rows = sorted(table.rows.values(), key=lambda row: row.start)
    numbers = np.array([row.numbers for row in rows], dtype=np.int64).reshape(-1, 5)
    client, clients = table.clients.in_order(numbers[:, 1])
    node, nodes = table.nodes.in_order(numbers[:, 2])
    call, kinds = table.kinds.in_order(numbers[:, 3])
    path, paths = table.paths.in_order(numbers[:, 4])
    errno, errnos = table.errnos.in_order(_integers([row.errno for row in rows]))
    start = np.array([row.start for row in rows], dtype=np.float64)
    ends = [until_s if row.end is None else row.end for row in rows]
    end = np.array(ends, dtype=np.float64)
    result = _integers([row.result for row in rows])
    columns = (numbers[:, 0], start, end, client, node, call, path, errno, result)
    return Calls(*columns, clients, nodes, kinds, paths, errnos)


def _integers(values: list[int]) -> Integers:
    return np.array(values, dtype=np.int64)
