"""A wait that is too long is noticed once, said now and then, and ends with the first progress."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pmxcfs.dfsm.waiting import Wait, WaitKind
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.waits.stalls import OWN_MESSAGE_S_MAX, REPEAT_S_MAX, STALL_S_MAX, Stalls, culprits

HUNG = Member(NodeId(3), Pid(30))
STATES = Wait(WaitKind.STATES, (HUNG,), steps=4)
OWN = Wait(WaitKind.OWN_MESSAGE, steps=7)


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def name_of(node_id: NodeId) -> str | None:
    return "node3" if node_id == 3 else None


def look(stalls: Stalls, wait: Wait | None, passed_s: float) -> bool:
    return stalls.look(wait, passed_s, name_of)


def test_a_wait_is_too_long_only_after_the_bound(lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    assert not look(stalls, STATES, STALL_S_MAX - 1)
    assert (stalls.is_stuck, lines) == (False, [])
    assert look(stalls, STATES, 1)
    assert stalls.is_stuck
    assert lines == [
        {
            "event": WaitKind.STATES.value,
            "log_level": "warning",
            "meanwhile": "changes are refused",
            "waits_for": ["node3 (id 3, pid 30)"],
            "waited_s": STALL_S_MAX,
        }
    ]


def test_what_was_never_too_long_is_not_said_to_be_over(lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, STATES, STALL_S_MAX - 1)
    look(stalls, None, 1)
    assert lines == []


def test_in_sync_a_late_message_is_waited_for_until_another_is(lines: list[EventDict]) -> None:
    """As long as it is late the group does not go on, whatever the mode."""
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, OWN, OWN_MESSAGE_S_MAX)
    look(stalls, OWN, 1)
    assert [line["event"] for line in lines] == [WaitKind.OWN_MESSAGE.value]


def test_it_is_told_for_how_long_the_present_wait_has_been_seen() -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, STATES, 1)
    look(stalls, STATES, 2)
    assert stalls.waited_s(STATES) == 3
    assert stalls.waited_s(OWN) == 0


def test_who_is_out_of_the_group_waits_for_itself() -> None:
    assert culprits(Wait(WaitKind.RETURN), name_of) == ["ourselves"]


def test_it_is_noticed_once_and_said_again_now_and_then(lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, STATES, STALL_S_MAX)
    assert not any(look(stalls, STATES, 1) for _ in range(int(REPEAT_S_MAX)))
    said_s = [line["waited_s"] for line in lines]
    assert said_s == [10, 70, 140, 280, 560, 1120, 2240]
    assert not any(look(stalls, STATES, 1) for _ in range(2 * int(REPEAT_S_MAX)))
    assert len(lines) == len(said_s) + 2


@pytest.mark.parametrize("wait", [None, OWN])
def test_being_in_sync_ends_it(wait: Wait | None, lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, STATES, STALL_S_MAX)
    look(stalls, STATES, 5)
    assert not look(stalls, wait, 1)
    assert not stalls.is_stuck
    assert [line["event"] for line in lines][1:] == ["the group goes on"]
    assert lines[-1]["waited_s"] == STALL_S_MAX + 6


def test_mere_progress_does_not_end_it_but_is_measured_anew(lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, STATES, STALL_S_MAX)
    moved = Wait(WaitKind.STATES, (HUNG,), steps=5)
    assert not look(stalls, moved, STALL_S_MAX - 1)
    assert stalls.is_stuck
    assert len(lines) == 1
    assert look(stalls, moved, 1)
    assert len(lines) == 2


def test_a_message_that_is_late_is_stuck_until_the_next_one_is_not(lines: list[EventDict]) -> None:
    stalls = Stalls("dcdb", "changes are refused")
    look(stalls, OWN, OWN_MESSAGE_S_MAX)
    assert not look(stalls, OWN, 1)
    assert stalls.is_stuck
    look(stalls, Wait(WaitKind.OWN_MESSAGE, steps=8), 1)
    assert not stalls.is_stuck


def test_an_own_message_may_be_under_way_for_longer() -> None:
    stalls = Stalls("dcdb", "changes are refused")
    assert not look(stalls, OWN, OWN_MESSAGE_S_MAX - 1)
    assert look(stalls, OWN, 1)


def test_where_nobody_is_named_it_is_corosync(lines: list[EventDict]) -> None:
    look(Stalls("dcdb", "changes are refused"), Wait(WaitKind.MEMBERSHIP), STALL_S_MAX)
    assert lines[0]["waits_for"] == ["corosync"]


def test_a_node_without_a_name_is_told_by_its_number(lines: list[EventDict]) -> None:
    look(
        Stalls("dcdb", "changes are refused"),
        Wait(WaitKind.STATES, (Member(NodeId(7), Pid(1)),)),
        STALL_S_MAX,
    )
    assert lines[0]["waits_for"] == ["a node without name (id 7, pid 1)"]
