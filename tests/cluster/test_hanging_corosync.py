"""Who leaves a corosync that hangs takes back what it has not sent yet."""

import pytest

from pmxcfs.dfsm.events import ConfigurationChange, Delivered, Disconnected, GroupEvent
from tests.cluster.corosyncs import Corosyncs, GroupProcess

pytestmark = pytest.mark.needs("root", "corosync")


def await_return(member: GroupProcess) -> None:
    """Wait until a member that was disconnected knows that it is one again."""

    def is_back(events: list[GroupEvent]) -> bool:
        since = events[events.index(Disconnected()) :]
        return any(isinstance(event, ConfigurationChange) for event in since)

    member.wait_for(is_back, "joined again")


def test_what_a_stopped_corosync_has_not_read_is_never_sent(corosyncs: Corosyncs) -> None:
    with corosyncs.member(1) as member, corosyncs.member(2) as other:
        other.await_members(member.me, other.me)
        corosyncs.pause(1)
        try:
            member.send("never", 50)
            member.process.await_line("done")
            member.leave(for_good=False)
            member.wait_for(lambda events: Disconnected() in events, "disconnected")
        finally:
            corosyncs.resume(1)
        await_return(member)
        other.await_members(member.me, other.me)
        member.send("after", 1)
        other.await_delivered(1)
        delivered = [event.data for event in other.events if isinstance(event, Delivered)]
        assert delivered == [b"after-0"]


def test_a_message_in_pieces_neither_keeps_the_member_in_the_group(corosyncs: Corosyncs) -> None:
    with corosyncs.member(1) as member:
        member.await_members(member.me)
        corosyncs.pause(1)
        try:
            member.send("large", 2, pad=3_000_000)
            member.process.await_line("done")
            member.leave(for_good=False)
            member.wait_for(lambda events: Disconnected() in events, "disconnected")
        finally:
            corosyncs.resume(1)
        await_return(member)
        member.send("after", 1)
        member.wait_for(lambda events: Delivered(member.me, b"after-0") in events, "the message")
