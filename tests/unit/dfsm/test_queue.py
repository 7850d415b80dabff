"""Messages held during a synchronisation: their order, who gets to apply them when, who repeats."""

from collections.abc import Callable
from errno import EBUSY

import pytest

from pmxcfs.dfsm import delivery
from pmxcfs.dfsm.effects import Answer, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.queue import CountQueue, HeldMessage
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member
from tests.unit.dfsm.stage import HIGH, LOW, ME, Stage, normal, protocol, sent_types, stage_in

COMPLETE = protocol(MessageType.UPDATE_COMPLETE)


def deliveries(stage: Stage) -> list[str]:
    return [call.split()[1] for call in stage.script.calls if call.startswith("deliver")]


def order_of(*counts_and_senders: tuple[int, Member]) -> list[tuple[int, Member]]:
    queue = CountQueue()
    for count, sender in counts_and_senders:
        queue.insert(HeldMessage(sender, count, b""))
    return [(message.count, message.sender) for message in queue.take_all()]


def test_the_queue_is_ordered_by_count_whoever_sent() -> None:
    assert order_of((5, LOW), (3, HIGH), (4, LOW), (1, ME)) == [
        (1, ME),
        (3, HIGH),
        (4, LOW),
        (5, LOW),
    ]


def test_equal_counts_keep_the_order_of_arrival() -> None:
    assert order_of((2, HIGH), (1, ME), (2, LOW)) == [(1, ME), (2, HIGH), (2, LOW)]


def test_counts_are_compared_by_the_sign_of_their_difference_in_32_bits() -> None:
    before, after = 2**32 - 1, 2**32 + 1
    assert order_of((after, LOW), (before, LOW)) == [(before, LOW), (after, LOW)]
    assert order_of((1, LOW), (2**31 + 2, LOW)) == [(2**31 + 2, LOW), (1, LOW)]
    assert order_of((7, LOW), (7 + 2**32, HIGH)) == [(7, LOW), (7 + 2**32, HIGH)]


def test_what_is_held_is_applied_once_all_agree() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(LOW, normal(5, b"five"))
    stage.hears(HIGH, normal(4, b"four"))

    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))

    assert deliveries(stage) == ["3:four", "1:five"]
    stage.hears(LOW, COMPLETE)
    assert deliveries(stage) == ["3:four", "1:five"]


def test_a_member_in_sync_holds_what_lagging_members_sent_until_they_are_updated() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = frozenset({LOW, ME})
    stage.hears(HIGH, normal(1, b"lagging"))
    stage.hears(LOW, normal(2, b"in-sync"))
    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    assert deliveries(stage) == ["1:in-sync"]

    stage.hears(LOW, COMPLETE)

    assert deliveries(stage) == ["1:in-sync", "3:lagging"]


def test_a_lagging_member_applies_first_what_followed_the_updates() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = frozenset({LOW})
    stage.hears(HIGH, normal(1, b"held-lagging"))
    stage.hears(LOW, normal(9, b"held-in-sync"))
    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    assert stage.mode is Mode.UPDATE
    stage.hears(HIGH, normal(2, b"late-lagging"))
    stage.hears(LOW, normal(10, b"late-in-sync"))
    assert deliveries(stage) == []

    stage.hears(LOW, COMPLETE)

    assert deliveries(stage) == [
        "1:held-in-sync",
        "1:late-in-sync",
        "3:held-lagging",
        "3:late-lagging",
    ]


def test_what_a_former_member_sent_is_dropped() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(HIGH, normal(1, b"gone"))
    stage.hears(LOW, normal(2, b"stays"))

    stage.members(LOW, ME)
    stage.hears(LOW, protocol(MessageType.SYNC_START))
    for member in (LOW, ME):
        stage.hears(member, protocol(MessageType.STATE, b"s"))

    assert deliveries(stage) == ["1:stays"]


def test_a_member_left_alone_applies_its_own() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own", ticket=1)
    stage.members(LOW, ME)
    stage.hears(ME, data)

    assert stage.members(ME) == [Answer(Ticket(1), 0)]

    assert deliveries(stage) == ["2:own"]


HELD_SIZE = len(normal(1)) + 256


def hold_two(stage: Stage, sender: Member = LOW) -> None:
    for _ in range(2):
        assert stage.hears(sender, normal(1)) == []


def never_used() -> Stage:
    return stage_in(Mode.START_SYNC)


def delivered() -> Stage:
    stage = stage_in(Mode.START_SYNC)
    hold_two(stage)
    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    return stage


def delivered_after_updates() -> Stage:
    stage = stage_in(Mode.UPDATE)
    hold_two(stage)
    stage.hears(LOW, COMPLETE)
    return stage


def interrupted() -> Stage:
    stage = stage_in(Mode.UPDATE)
    hold_two(stage)
    return stage


def sent_again() -> Stage:
    stage = stage_in(Mode.SYNCED)
    stage.members(LOW, ME)
    hold_two(stage, ME)
    stage.members(LOW, ME, HIGH, joined=(HIGH,))
    return stage


def disconnected() -> Stage:
    stage = stage_in(Mode.START_SYNC)
    hold_two(stage)
    stage.machine.disconnect()
    stage.machine.connect(ME)
    return stage


@pytest.mark.parametrize("bound", [2 * HELD_SIZE, 3 * HELD_SIZE - 1])
@pytest.mark.parametrize(
    "earlier",
    [never_used, delivered, delivered_after_updates, interrupted, sent_again, disconnected],
)
def test_what_is_held_is_bounded_and_makes_room_when_it_goes(
    earlier: Callable[[], Stage], bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivery.HELD_BYTES_MAX == 64 * 2**20
    monkeypatch.setattr(delivery, "HELD_BYTES_MAX", bound)
    stage = earlier()
    stage.members(LOW, ME, HIGH)

    hold_two(stage)
    assert stage.hears(LOW, normal(1)) == [LeaveGroup(for_good=False)]


def test_newcomers_make_everybody_send_their_own_again_before_the_sync_start() -> None:
    stage = stage_in(Mode.SYNCED)
    first, second = stage.sends(b"first", ticket=1), stage.sends(b"second", ticket=2)
    stage.members(ME, HIGH)
    stage.hears(ME, second)
    stage.hears(HIGH, normal(1))
    stage.hears(ME, first)

    effects = stage.members(ME, HIGH, LOW, joined=(LOW,))
    assert effects == [Multicast(first), Multicast(second)]

    effects = stage.members(ME, HIGH, joined=(HIGH,))
    assert sent_types(effects) == [MessageType.SYNC_START], "the queue was emptied"


def test_what_was_sent_again_is_answered_when_it_is_applied() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own", ticket=1)
    stage.members(LOW, ME)
    stage.hears(ME, data)
    stage.members(LOW, ME, HIGH, joined=(HIGH,))
    stage.hears(ME, data)
    stage.hears(LOW, protocol(MessageType.SYNC_START))
    stage.hears(LOW, protocol(MessageType.STATE, b"s"))
    stage.hears(HIGH, protocol(MessageType.STATE, b"s"))

    effects = stage.hears(ME, protocol(MessageType.STATE, b"s"))

    assert effects == [Answer(Ticket(1), 0)]
    assert deliveries(stage) == ["2:own"]


def test_what_a_departed_member_may_have_applied_is_not_sent_again() -> None:
    stage = stage_in(Mode.SYNCED)
    doubtful, later = stage.sends(b"doubtful", ticket=1), stage.sends(b"later", ticket=2)
    stage.members(LOW, ME, HIGH)
    stage.hears(ME, doubtful)
    stage.members(LOW, ME)
    stage.hears(ME, later)

    effects = stage.members(LOW, ME, HIGH, joined=(HIGH,))

    assert effects == [Answer(Ticket(1), -EBUSY), Multicast(later)]


def test_what_does_no_harm_twice_is_sent_again_all_the_same() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.is_idempotent = True
    data = stage.sends(b"own", ticket=1)
    stage.members(LOW, ME, HIGH)
    stage.hears(ME, data)
    stage.members(LOW, ME)

    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(data)]


def test_a_later_message_does_not_tell_that_one_on_its_way_again_is_lost() -> None:
    stage = stage_in(Mode.SYNCED)
    first, second = stage.sends(b"first", ticket=1), stage.sends(b"second", ticket=2)
    stage.members(ME, HIGH)
    stage.hears(ME, first)
    stage.members(ME, HIGH, LOW, joined=(LOW,))
    stage.members(ME)

    assert stage.hears(ME, second) == [Answer(Ticket(2), 0)]
    assert stage.hears(ME, first) == [Answer(Ticket(1), 0)]


def test_nothing_new_overtakes_what_was_sent_again() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own")
    stage.members(ME, HIGH)
    stage.hears(ME, data)
    stage.members(ME, HIGH, LOW, joined=(LOW,))
    stage.members(ME)

    assert stage.mode is Mode.SYNCED
    assert not stage.machine.may_send
    with pytest.raises(OperationError):
        stage.sends(b"new")
    stage.hears(ME, data)
    assert stage.machine.may_send


def test_who_only_lost_members_repeats_nothing() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own")
    stage.members(LOW, ME, HIGH)
    stage.hears(ME, data)

    assert stage.members(LOW, ME) == []


@pytest.mark.parametrize("mode", [Mode.START_SYNC, Mode.UPDATE])
def test_a_refused_message_of_the_queue_makes_us_leave_and_ends_the_delivery(mode: Mode) -> None:
    stage = stage_in(mode)
    stage.script.refuse("deliver")
    stage.hears(LOW, normal(1, b"bad"))
    stage.hears(LOW, normal(2, b"good"))

    if mode is Mode.UPDATE:
        effects = stage.hears(LOW, COMPLETE)
    else:
        for member in (LOW, ME):
            stage.hears(member, protocol(MessageType.STATE, b"s"))
        effects = stage.hears(HIGH, protocol(MessageType.STATE, b"s"))

    assert effects == [LeaveGroup(for_good=False)]
    assert deliveries(stage) == ["1:bad"]


def test_a_rejoining_member_holds_nothing_of_before() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(LOW, normal(1, b"before"))
    stage.machine.leave()
    stage.machine.disconnect()
    stage.machine.connect(ME)

    stage.members(LOW, ME)
    stage.hears(LOW, protocol(MessageType.SYNC_START))
    stage.hears(LOW, protocol(MessageType.STATE, b"s"))
    stage.hears(ME, protocol(MessageType.STATE, b"s"))
    assert stage.mode is Mode.SYNCED

    assert deliveries(stage) == []


def test_a_doubt_about_a_message_of_somebody_else_is_none_about_ours_of_that_number() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.sends(b"first")
    second = stage.sends(b"second")
    stage.members(LOW, ME, HIGH)
    stage.hears(LOW, normal(2))
    stage.members(LOW, ME)
    stage.hears(ME, second)

    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(second)]


def test_nothing_is_in_doubt_where_nobody_went() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own", ticket=1)
    stage.members(LOW, ME, HIGH)
    stage.hears(ME, data)
    stage.members(LOW, ME, HIGH)

    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(data)]


def doubted() -> tuple[Stage, bytes]:
    """Return a stage that holds a message of its own which a member that went may have applied."""
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"doubtful")
    stage.members(LOW, ME, HIGH)
    stage.hears(ME, data)
    stage.members(LOW, ME)
    return stage, data


def test_a_doubt_ends_with_the_newcomers_that_it_was_about() -> None:
    stage, data = doubted()
    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == []
    stage.hears(ME, data)

    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(data)]


def test_a_doubt_ends_with_the_group() -> None:
    stage, data = doubted()
    stage.machine.disconnect()
    stage.machine.connect(ME)
    stage.members(LOW, ME)
    stage.hears(ME, data)

    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(data)]
