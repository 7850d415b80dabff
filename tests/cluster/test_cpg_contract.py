"""Real corosync keeps the contract that the simulated group was built after."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from tests.cluster.corosyncs import SETTLED_WITHIN_S, Corosyncs, GroupProcess
from tests.contract.cpg_contract import Log, check_contract

pytestmark = pytest.mark.needs("root", "corosync")

Trio = tuple[GroupProcess, GroupProcess, GroupProcess]


@pytest.fixture
def members(corosyncs: Corosyncs) -> Iterator[Trio]:
    """One member on each node, all in one configuration."""
    with ExitStack() as stack:
        one, two, three = (stack.enter_context(corosyncs.member(n)) for n in corosyncs.node_ids)
        for member in (one, two, three):
            member.await_members(one.me, two.me, three.me)
        yield one, two, three


def judge(members: Sequence[GroupProcess], *, is_settled: bool) -> None:
    logs = {member.me: member.log for member in members}
    check_contract(logs, {member.me: member.sent for member in members}, is_settled=is_settled)


def test_three_senders_are_heard_in_one_order(members: Trio) -> None:
    for number, member in enumerate(members):
        member.send(f"m{number}", 200)
    for member in members:
        member.await_delivered(600)
    judge(members, is_settled=True)


def test_messages_of_many_pieces_arrive_whole_and_in_their_place(members: Trio) -> None:
    for number, member in enumerate(members):
        member.send(f"small{number}", 5)
        member.send(f"large{number}", 2, pad=2_500_000)
        member.send(f"late{number}", 5)
    for member in members:
        member.await_delivered(36)
    judge(members, is_settled=True)


def test_members_that_stay_together_through_a_split_hear_the_same(
    corosyncs: Corosyncs, members: Trio
) -> None:
    one, two, three = members
    for number, member in enumerate(members):
        member.send(f"before{number}", 1500)
    one.await_delivered(100)
    corosyncs.partition([1, 2], [3])
    for number, member in enumerate(members):
        member.send(f"cut{number}", 100)
    for member in (one, two):
        member.await_members(one.me, two.me)
    three.await_members(three.me)
    corosyncs.partition([1, 2, 3])
    for number, member in enumerate(members):
        member.send(f"healing{number}", 100)
    for member in members:
        member.await_members(*(other.me for other in members))
    for number, member in enumerate(members):
        member.send(f"after{number}", 10)
    for member in members:
        member.wait_for(lambda events: _has_all_last(events, 3, 9), "all last messages", 60)
    judge(members, is_settled=True)


def _has_all_last(events: Sequence[object], senders: int, last: int) -> bool:
    heard = {event.data for event in events if isinstance(event, Delivered)}
    return all(f"after{number}-{last}".encode() in heard for number in range(senders))


def test_what_a_killed_member_had_sent_reaches_all_or_nobody(members: Trio) -> None:
    one, two, three = members
    three.send("doomed", 3000)
    three.await_delivered(100)
    three.kill()
    for member in (one, two):
        member.await_members(one.me, two.me)
        member.send(f"after-{member.me.node_id}", 20)
    for member in (one, two):
        member.wait_for(lambda events: _count_after(events) == 40, "all messages of the living")
    judge((one, two, three), is_settled=False)
    judge_settled_among(one, two, three)


def _count_after(events: Sequence[object]) -> int:
    heard = [event.data for event in events if isinstance(event, Delivered)]
    return sum(data.startswith(b"after-") for data in heard)


def judge_settled_among(one: GroupProcess, two: GroupProcess, gone: GroupProcess) -> None:
    sent = {member.me: member.sent for member in (one, two, gone)}
    check_contract({one.me: one.log, two.me: two.log}, sent, is_settled=True)


def test_a_member_that_leaves_is_told_so_and_then_nothing_more(members: Trio) -> None:
    one, two, three = members
    three.send("last-words", 50)
    three.await_delivered(50)
    three.leave(for_good=True)
    three.wait_for(lambda events: three.me not in three.members, "a change without us")
    for member in (one, two):
        member.await_members(one.me, two.me)
        member.send(f"alone-{member.me.node_id}", 10)
    for member in (one, two):
        member.await_delivered(70)
    judge(members, is_settled=True)
    last = three.log[-1]
    assert isinstance(last, ConfigurationChange)
    assert last.left == (three.me,)


def test_the_final_nul_is_part_of_a_groups_name(corosyncs: Corosyncs) -> None:
    with (
        corosyncs.member(1, group="named\\0") as with_nul,
        corosyncs.member(2, group="named") as without_nul,
        corosyncs.member(3, group="named\\0") as other_with_nul,
    ):
        with_nul.await_members(with_nul.me, other_with_nul.me)
        without_nul.await_members(without_nul.me)


def test_what_corosync_is_too_busy_to_take_comes_later_once_and_in_order(
    corosyncs: Corosyncs, members: Trio
) -> None:
    one, two, three = members
    before = [changes_of(member.log) for member in members]
    corosyncs.pause(3)
    one.send("busy", 60, pad=1_000_000)
    two.send("beside", 20)
    one.process.wait_until(lambda: one.retries() > 0, "corosync says TRY_AGAIN", 20)
    corosyncs.resume(3)
    for member in (one, two):
        member.await_delivered(80)
        heard = [event.data for event in member.log if isinstance(event, Delivered)]
        for name in (b"busy", b"beside"):
            numbers = [
                int(data.split(b"-")[1].partition(b"+")[0]) for data in heard if name in data
            ]
            assert numbers == sorted(set(numbers)), "once, and in order"
    for member in members:
        member.await_members(*(other.me for other in members))
    # Corosync cuts large messages: a piece that comes before a merge makes one be heard by a side.
    three.wait_for(
        lambda _: three.count(Delivered) >= 80 or changes_of(three.log) > before[2],
        "all messages, or a change of the group",
        SETTLED_WITHIN_S,
    )
    logs = {member.me: member.log for member in members}  # read once: a change may still come
    if [changes_of(log) for log in logs.values()] == before:
        check_contract(logs, {member.me: member.sent for member in members}, is_settled=True)


def changes_of(log: Log) -> int:
    """Return how often a member was told of another configuration."""
    return sum(isinstance(event, ConfigurationChange) for event in log)


def test_who_leaves_and_comes_back_is_told_all_from_then_on_and_nothing_of_between(
    members: Trio,
) -> None:
    one, two, three = members
    three.send("before", 20)
    three.await_delivered(20)
    three.leave(for_good=False)
    for member in (one, two):
        member.await_members(one.me, two.me)
        member.send(f"between-{member.me.node_id}", 10)
        member.await_delivered(30)
    for member in members:
        member.await_members(*(other.me for other in members))
    three.send("again", 20)
    for member in (one, two):
        member.await_delivered(60)
    three.await_delivered(40)
    judge(members, is_settled=True)
    heard = [event.data for event in three.log if isinstance(event, Delivered)]
    assert not [data for data in heard if data.startswith(b"between")]


def test_when_rings_merge_each_side_is_told_of_the_others_only(
    corosyncs: Corosyncs, members: Trio
) -> None:
    one, two, three = members
    everybody = {member.me for member in members}
    corosyncs.partition([1], [2, 3])
    one.await_members(one.me)
    for member in (two, three):
        member.await_members(two.me, three.me)
    told = {member.me: len(member.log) for member in members}
    corosyncs.partition([1, 2, 3])
    for member in members:
        member.await_members(*everybody)
    joined = {
        member.me: {
            other
            for event in member.log[told[member.me] :]
            if isinstance(event, ConfigurationChange)
            for other in event.joined
        }
        for member in members
    }
    others = {two.me, three.me}
    assert joined == {one.me: others, two.me: {one.me}, three.me: {one.me}}
    judge(members, is_settled=True)
