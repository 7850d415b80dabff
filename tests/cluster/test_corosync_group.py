"""A group's member outlives its corosync, leaves and comes back, and never hangs with it."""

from collections.abc import Iterator, Sequence

import pytest

from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from tests.cluster.corosyncs import Corosyncs, GroupProcess

pytestmark = pytest.mark.needs("root", "corosync")

LAG_S_MAX = 0.5
"""The loop's clock may be this late on a loaded machine; a blocked loop is late by seconds."""


@pytest.fixture
def member(corosyncs: Corosyncs) -> Iterator[GroupProcess]:
    with corosyncs.member(1) as process:
        process.await_members(process.me)
        yield process


def kinds(events: Sequence[GroupEvent]) -> list[type]:
    return [type(event) for event in events]


def test_a_member_whose_corosync_was_killed_joins_again_when_it_is_back(
    corosyncs: Corosyncs, member: GroupProcess
) -> None:
    corosyncs.kill(1)
    member.wait_for(lambda events: Disconnected in kinds(events), "disconnected")
    corosyncs.start(1)
    member.wait_for(lambda events: kinds(events).count(ConfigurationChange) >= 2, "joined again")
    assert kinds(member.events[:3]) == [Connected, ConfigurationChange, Disconnected]
    assert kinds(member.events[-2:]) == [Connected, ConfigurationChange]
    member.send("again", 3)
    member.await_delivered(3)


def test_a_group_that_starts_before_corosync_is_joined_later(corosyncs: Corosyncs) -> None:
    corosyncs.kill(1)
    with corosyncs.member(1) as member:
        member.send("too-early", 2)
        member.wait_for(lambda events: kinds(events) == [SendFailed, SendFailed], "refusals")
        corosyncs.start(1)
        member.wait_for(lambda events: ConfigurationChange in kinds(events), "joined")


def test_who_leaves_hears_so_and_comes_back(member: GroupProcess) -> None:
    member.leave(for_good=False)
    member.wait_for(lambda events: kinds(events).count(Connected) == 2, "connected again")
    member.await_members(member.me)
    assert kinds(member.events) == [
        *(Connected, ConfigurationChange, ConfigurationChange, Disconnected),
        *(Connected, ConfigurationChange),
    ]
    assert member.me not in _changes(member)[1].members
    member.send("back", 1)
    member.await_delivered(1)


def test_who_leaves_for_good_stays_away(member: GroupProcess) -> None:
    member.leave(for_good=True)
    member.wait_for(lambda events: Disconnected in kinds(events), "disconnected")
    member.send("unheard", 1)
    member.wait_for(lambda events: kinds(events)[-1] is SendFailed, "a refusal")
    member.process.order(do="cancel")
    member.process.await_line("cancelled_in_s")
    assert kinds(member.events).count(Connected) == 1


def test_a_cancelled_member_leaves_the_group(corosyncs: Corosyncs, member: GroupProcess) -> None:
    with corosyncs.member(2) as other:
        other.await_members(member.me, other.me)
        member.process.order(do="cancel")
        other.await_members(other.me)
        assert member.process.await_line("cancelled_in_s") < LAG_S_MAX
    assert kinds(member.events)[-1] is Disconnected


def test_a_stopped_corosync_neither_stops_the_loop_nor_keeps_the_process(
    corosyncs: Corosyncs, member: GroupProcess
) -> None:
    corosyncs.pause(1)
    try:
        member.send("stuck", 1000)
        member.process.await_line("done")
        member.process.order(do="lag")
        assert member.process.await_line("lag_s") < LAG_S_MAX
        member.process.order(do="cancel")
        assert member.process.await_line("cancelled_in_s") < 1.0 + LAG_S_MAX
        assert member.process.end(within_s=5.0) == 0
    finally:
        corosyncs.resume(1)


def test_a_message_in_pieces_that_hangs_does_not_keep_the_process(
    corosyncs: Corosyncs, member: GroupProcess
) -> None:
    corosyncs.pause(1)
    try:
        member.send("stuck", 2, pad=3_000_000)
        member.process.await_line("done")
        member.process.order(do="lag")
        assert member.process.await_line("lag_s") < LAG_S_MAX
        member.process.order(do="cancel")
        assert member.process.await_line("cancelled_in_s") < 1.0 + LAG_S_MAX
        assert member.process.end(within_s=5.0) == 0
    finally:
        corosyncs.resume(1)


def test_what_a_stopped_corosync_does_not_take_comes_back_and_the_rest_arrives(
    corosyncs: Corosyncs,
) -> None:
    with corosyncs.member(1, stall=0.3) as member:
        member.await_members(member.me)
        corosyncs.pause(1)
        try:
            member.send("m", 1000)
            member.wait_for(lambda events: SendFailed in kinds(events), "failures")
        finally:
            corosyncs.resume(1)
        member.send("later", 1)
        member.wait_for(lambda events: _texts(events, Delivered)[-1:] == [b"later-0"], "the last")
        delivered = _texts(member.events, Delivered)
        failed = _texts(member.events, SendFailed)
        assert delivered[:-1] + failed == member.sent[:-1]
        assert failed


def test_a_thousand_queued_messages_arrive_once_corosync_goes_on(
    corosyncs: Corosyncs, member: GroupProcess
) -> None:
    corosyncs.pause(1)
    try:
        member.send("m", 1000)
        member.process.await_line("done")
    finally:
        corosyncs.resume(1)
    member.await_delivered(1000)
    assert _texts(member.events, Delivered) == member.sent


def _texts(events: Sequence[GroupEvent], kind: type[Delivered] | type[SendFailed]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, kind)]


def _changes(member: GroupProcess) -> list[ConfigurationChange]:
    return [event for event in member.events if isinstance(event, ConfigurationChange)]
