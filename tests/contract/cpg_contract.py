"""What a closed process group promises, as checks of what its members recorded.

The same checks judge real corosync and the simulator's stand-in for it. A log is everything one
member was told, from its first configuration change on, in order. Messages must be unique over all
members and logs, so that a test can tell one from another.

The promises:

* a member is told of itself before anything else, and of nothing after it has left;
* every message comes from a present member, once, in the order in which its sender sent it;
* any two members deliver their common messages in the same order;
* members that stay together deliver the same messages between the same configuration changes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.identity import Member

Event = ConfigurationChange | Delivered
Log = Sequence[Event]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A configuration and what was delivered in it.

    Several changes with no message in between count as one: when rings merge, members are told of
    each other one by one, and not in the same order.
    """

    members: frozenset[Member]
    messages: tuple[bytes, ...]


@dataclass(slots=True)
class TimeTogether:
    """What a member was told while a certain other one was there without a gap."""

    epochs: list[Epoch] = field(default_factory=list)
    has_parted: bool = False

    def change(self, members: Sequence[Member]) -> None:
        if self.epochs and not self.epochs[-1].messages:
            self.epochs.pop()
        self.epochs.append(Epoch(frozenset(members), ()))

    def deliver(self, data: bytes) -> None:
        last = self.epochs[-1]
        self.epochs[-1] = Epoch(last.members, (*last.messages, data))


def check_contract(
    logs: Mapping[Member, Log], sent: Mapping[Member, Sequence[bytes]], *, is_settled: bool
) -> None:
    """Assert everything below.

    Args:
        logs: what each member recorded.
        sent: what each member gave to the group while it was a member, in order.
        is_settled: whether the logs end with nothing more to come for those who are still members.
    """
    for me, log in logs.items():
        check_membership(me, log)
        check_own_messages(me, log, sent.get(me, ()), is_complete=is_settled and _ends_in(me, log))
        for sender, messages in sent.items():
            check_sender_order(log, sender, messages)
    for me in logs:
        for other in logs:
            if me < other:
                check_same_order(logs[me], logs[other])
                check_virtual_synchrony(me, logs[me], other, logs[other], is_settled=is_settled)


def check_membership(me: Member, log: Log) -> None:
    """Assert that ``me`` hears only while a member, and only of senders that are members."""
    members: tuple[Member, ...] = ()
    for place, event in enumerate(log):
        match event:
            case ConfigurationChange(now):
                assert me in now or me in members, f"{me} at {place}: {now}, not a member before"
                assert len(set(now)) == len(now), f"{me} at {place}: a member twice in {now}"
                members = now
            case Delivered(sender):
                assert me in members, f"{me} at {place}: a message while not a member"
                assert sender in members, (
                    f"{me} at {place}: a message of {sender}, not in {members}"
                )


def check_own_messages(me: Member, log: Log, sent: Sequence[bytes], *, is_complete: bool) -> None:
    """Assert that own messages came back once and in order: all of them, or all up to a point."""
    own = [event.data for event in _deliveries(log) if event.sender == me]
    expected = list(sent) if is_complete else list(sent)[: len(own)]
    assert own == expected, f"{me} sent {len(sent)}, got back {_difference(own, expected)}"


def check_sender_order(log: Log, sender: Member, sent: Sequence[bytes]) -> None:
    """Assert that a sender's messages came at most once and in its order, if maybe not all."""
    got = [event.data for event in _deliveries(log) if event.sender == sender]
    twice = [data for data, count in Counter(got).items() if count > 1]
    assert not twice, f"delivered more than once: {twice[:3]}"
    place_of = {data: place for place, data in enumerate(sent)}
    strange = [data for data in got if data not in place_of]
    assert not strange, f"{sender} never sent {strange[:3]}"
    assert got == sorted(got, key=place_of.__getitem__), f"{sender}'s messages out of order"


def check_same_order(log: Log, other_log: Log) -> None:
    """Assert that what both have delivered came in one order."""
    here = [event.data for event in _deliveries(log)]
    there = [event.data for event in _deliveries(other_log)]
    common = set(here) & set(there)
    ours = [data for data in here if data in common]
    theirs = [data for data in there if data in common]
    assert ours == theirs, f"two orders: {_difference(ours, theirs)}"


def check_virtual_synchrony(
    me: Member, log: Log, other: Member, other_log: Log, *, is_settled: bool
) -> None:
    """Assert that while two members stay together they are told the same.

    The epoch in which they part may end differently on the two sides. While the logs have not
    settled, any last epoch may be that one.
    """
    ours, theirs = _times_together(me, other, log), _times_together(other, me, other_log)
    if is_settled:
        assert len(ours) == len(theirs), f"{me} and {other} differ on how often they were together"
    for here, there in zip(ours, theirs, strict=False):
        whole = min(len(here.epochs), len(there.epochs)) - 1
        _assert_equal(here.epochs[:whole], there.epochs[:whole], me, other)
        if is_settled and not here.has_parted and not there.has_parted:
            _assert_equal(here.epochs[whole:], there.epochs[whole:], me, other)


def _times_together(me: Member, other: Member, log: Log) -> list[TimeTogether]:
    """Cut a log into the times with another member; what lies between them is left out."""
    times = [TimeTogether(has_parted=True)]
    for event in log:
        match event:
            case ConfigurationChange(members, left):
                are_together = me in members and other in members
                if not are_together or other in left:
                    times[-1].has_parted = True
                if are_together:
                    if times[-1].has_parted:
                        times.append(TimeTogether())
                    times[-1].change(members)
            case Delivered(_, data):
                if not times[-1].has_parted:
                    times[-1].deliver(data)
    return times[1:]


def _assert_equal(
    here: Sequence[object], there: Sequence[object], me: Member, other: Member
) -> None:
    assert here == there, (
        f"{me} and {other} stayed together and heard different things: {_difference(here, there)}"
    )


def _deliveries(log: Log) -> list[Delivered]:
    return [event for event in log if isinstance(event, Delivered)]


def _ends_in(me: Member, log: Log) -> bool:
    """Whether the member is a member at the end of its log, and has been since its beginning."""
    return all(me in event.members for event in log if isinstance(event, ConfigurationChange))


def _difference(here: Sequence[object], there: Sequence[object]) -> str:
    for place, (one, two) in enumerate(zip(here, there, strict=False)):
        if one != two:
            return f"at {place}: {one!r:.200} against {two!r:.200}"
    return f"lengths {len(here)} and {len(there)}"
