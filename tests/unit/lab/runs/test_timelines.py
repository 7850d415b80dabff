"""What nodes showed and which faults were there, as stretches of time."""

import math

import pytest
from pmxcfs_lab.runs.folder import FaultEvent, Observation
from pmxcfs_lab.runs.timelines import (
    VERSIONS_MAX,
    Condition,
    bands,
    condition,
    stretches,
    versions,
)

UP = {"corosync": True, "pmxcfs": True}
CUT = {"name": "isolate", "node": "node3"}
KILL = {"name": "kill", "node": "node2", "service": "pmxcfs"}


def seen(t: float, members: tuple[int, ...] = (1, 2), node: str = "node1") -> Observation:
    return Observation(t, node, members, True, "synced", 1, int(t), UP)


@pytest.mark.parametrize(
    ("quorate", "sync", "up", "expected"),
    [
        (True, "synced", UP, Condition.SYNCED),
        (True, None, UP, Condition.SYNCED),
        (True, "update", UP, Condition.SYNCING),
        (False, "synced", UP, Condition.NO_QUORUM),
        (None, None, UP, Condition.NO_QUORUM),
        (None, None, {"corosync": True, "pmxcfs": False}, Condition.NO_PMXCFS),
        (True, "synced", {"corosync": False, "pmxcfs": True}, Condition.NO_COROSYNC),
    ],
)
def test_a_node_is_judged_by_the_worst_it_shows(
    quorate: bool | None, sync: str | None, up: dict[str, bool], expected: Condition
) -> None:
    assert condition(Observation(0.0, "node1", (), quorate, sync, None, None, up)) is expected


def test_equal_observations_are_one_stretch_until_the_first_other() -> None:
    found = stretches([seen(0.0), seen(0.5), seen(1.0), seen(1.5, (1,)), seen(2.0, (1,))])
    assert [(s.start, s.end, s.members) for s in found] == [(0.0, 1.5, (1, 2)), (1.5, 2.0, (1,))]


def test_the_order_of_members_makes_no_difference() -> None:
    assert len(stretches([seen(0.0, (1, 2)), seen(0.5, (2, 1))])) == 1


def test_nodes_have_stretches_of_their_own() -> None:
    found = stretches([seen(0.0), seen(0.1, node="node2"), seen(0.5), seen(0.6, node="node2")])
    assert sorted((s.node, s.start, s.end) for s in found) == [
        ("node1", 0.0, 0.5),
        ("node2", 0.1, 0.6),
    ]


def test_a_long_silence_is_a_gap() -> None:
    found = stretches([seen(0.0), seen(0.5), seen(30.0), seen(30.5)])
    assert [(s.start, s.end) for s in found] == [(0.0, 0.5), (30.0, 30.5)]


def test_a_version_is_a_step_where_it_changes_and_a_gap_where_there_is_none() -> None:
    of = [Observation(float(t), "node1", tree_version=v) for t, v in enumerate((3, 3, 4, None, 5))]
    steps = versions(of)["node1"]
    assert steps.times == [0.0, 2.0, 3.0, 4.0]
    assert steps.versions[:2] == [3.0, 4.0]
    assert math.isnan(steps.versions[2])


def test_of_many_versions_those_that_go_back_stay() -> None:
    found = versions(
        Observation(n / 2, "node1", tree_version=1 if n == 3333 else n) for n in range(7200)
    )["node1"]
    assert len(found.times) <= VERSIONS_MAX + 2
    assert 1.0 in found.versions
    assert found.versions[-1] == 7199


def test_a_fault_lasts_until_it_is_healed_or_the_run_ends() -> None:
    found = bands(
        [FaultEvent(1, "inject", CUT), FaultEvent(2, "inject", KILL), FaultEvent(4, "heal", CUT)],
        9.0,
    )
    assert [(b.name, b.start, b.end, b.is_healed) for b in found] == [
        ("isolate", 1, 4, True),
        ("kill", 2, 9, False),
    ]
    assert [band.row for band in found] == [0, 1]


def test_faults_after_each_other_share_a_row() -> None:
    events = [FaultEvent(1, "inject", CUT), FaultEvent(4, "heal", CUT)]
    found = bands([*events, FaultEvent(5, "inject", KILL)], 9.0)
    assert [band.row for band in found] == [0, 0]


def test_a_refused_fault_has_no_length_and_a_heal_without_its_inject_is_no_fault() -> None:
    found = bands([FaultEvent(1, "refused", CUT), FaultEvent(3, "heal", KILL)], 9.0)
    assert [(b.name, b.start, b.end, b.was_refused) for b in found] == [("isolate", 1, 1, True)]


def test_fields_of_a_fault_are_told_in_words() -> None:
    fault = {"name": "halves", "groups": [["node1"], ["node2"]], "from_": "node1", "ms": 4}
    (band,) = bands([FaultEvent(1, "inject", fault)], 2.0)
    assert band.details == "groups node1 | node2, from node1, ms 4"
