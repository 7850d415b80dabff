"""Events of the group are put off for a little while when quorum may come after them."""

import pytest

from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.waits.grace import QUORUM_WAIT_S_MAX, Grace

ME = Member(NodeId(1), Pid(11))
CHANGE, SECOND = Delivered(ME, b"change"), Delivered(ME, b"second")
MEMBERS = ConfigurationChange((ME,))


def needs_quorum(event: GroupEvent) -> bool:
    return event == CHANGE


def ticking() -> Grace:
    grace = Grace()
    grace.pass_time(0.5)
    return grace


def due(grace: Grace, *, is_quorate: bool = False) -> list[GroupEvent]:
    return list(grace.due(is_quorate=is_quorate))


def test_what_needs_no_quorum_is_due_at_once() -> None:
    assert ticking().take(SECOND, needs_quorum)


def test_what_needs_quorum_is_put_off_with_all_that_follows_it() -> None:
    grace = ticking()
    for event in (CHANGE, MEMBERS, SECOND, SendFailed(b"own")):
        assert not grace.take(event, needs_quorum)
    assert due(grace) == []
    assert due(grace, is_quorate=True) == [CHANGE, MEMBERS, SECOND, SendFailed(b"own")]
    assert grace.take(SECOND, needs_quorum)


def test_the_wait_ends_with_the_bound_and_is_not_begun_again() -> None:
    grace = ticking()
    grace.take(CHANGE, needs_quorum)
    grace.pass_time(QUORUM_WAIT_S_MAX - 0.1)
    assert due(grace) == []
    grace.pass_time(0.1)
    assert due(grace) == [CHANGE]
    assert grace.take(CHANGE, needs_quorum)


@pytest.mark.parametrize("is_joining", [False, True])
def test_after_quorum_or_joining_again_there_is_a_wait_again(is_joining: bool) -> None:
    grace = ticking()
    grace.take(CHANGE, needs_quorum)
    grace.pass_time(QUORUM_WAIT_S_MAX)
    due(grace)
    if is_joining:
        assert grace.take(Connected(ME), needs_quorum)
    else:
        due(grace, is_quorate=True)
    assert not grace.take(CHANGE, needs_quorum)
    grace.pass_time(QUORUM_WAIT_S_MAX - 0.1)
    assert due(grace) == []


def test_what_was_put_off_is_forgotten_with_the_connection() -> None:
    grace = ticking()
    grace.take(CHANGE, needs_quorum)
    assert grace.take(Disconnected(), needs_quorum)
    assert due(grace, is_quorate=True) == []


def test_nobody_waits_where_no_time_passes() -> None:
    assert Grace().take(CHANGE, needs_quorum)
