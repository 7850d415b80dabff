"""Who answers when somebody asks: those who hang are named, and nobody else is."""

from collections.abc import Sequence

import pytest

from pmxcfs.durable.roll_call import UNANSWERED_MAX, RollCall
from pmxcfs.durable.wire import Message, MessageType, decode
from pmxcfs.identity import Member, NodeId, Pid

ME, TWO, THREE = (Member(NodeId(number), Pid(number * 11)) for number in (1, 2, 3))
ALL = (ME, TWO, THREE)


def called(roll: RollCall, members: Sequence[Member] = ALL) -> Message:
    call = roll.call(ME, members)
    assert call is not None
    return decode(call)


def here(call: Message) -> Message:
    return Message(MessageType.HERE, call.point)


def hear(roll: RollCall, call: Message, *senders: Member) -> None:
    """Bring the call back to us, then the answers of some."""
    roll.hear(ME, ME, call)
    for sender in senders:
        roll.hear(sender, ME, here(call))


def test_who_answers_is_here_and_who_does_not_is_not() -> None:
    roll = RollCall()
    hear(roll, called(roll), TWO)
    assert roll.answers == {1: True, 2: True, 3: False}
    assert not roll.is_complete


def test_it_is_over_when_all_have_answered() -> None:
    roll = RollCall()
    hear(roll, called(roll), TWO, THREE)
    assert roll.is_complete
    assert roll.answers == {1: True, 2: True, 3: True}


def test_nobody_is_blamed_while_our_own_call_has_not_come_back() -> None:
    roll = RollCall()
    called(roll)
    assert (roll.answers, roll.is_complete) == ({}, False)


def test_an_answer_to_an_earlier_call_does_not_count() -> None:
    roll = RollCall()
    first = called(roll)
    second = called(roll)
    hear(roll, second)
    roll.hear(TWO, ME, here(first))
    assert roll.answers[TWO.node_id] is False


def test_an_answer_to_somebody_elses_call_does_not_count() -> None:
    roll, other = RollCall(), RollCall()
    hear(roll, called(roll))
    foreign = other.call(TWO, ALL)
    assert foreign is not None
    roll.hear(THREE, ME, here(decode(foreign)))
    assert roll.answers[THREE.node_id] is False


def test_who_has_left_is_waited_for_no_more() -> None:
    roll = RollCall()
    hear(roll, called(roll), TWO)
    roll.keep((ME, TWO))
    assert roll.is_complete
    assert roll.answers == {1: True, 2: True}


@pytest.mark.parametrize(("me", "members"), [(None, ALL), (ME, (TWO, THREE)), (ME, ())])
def test_who_is_no_member_cannot_ask(me: Member | None, members: Sequence[Member]) -> None:
    roll = RollCall()
    assert roll.call(me, members) is None
    assert (roll.answers, roll.is_complete) == ({}, True)


def test_a_call_is_answered_once_with_its_own_point() -> None:
    roll, caller = RollCall(), RollCall()
    call = caller.call(TWO, ALL)
    assert call is not None
    roll.hear(TWO, ME, decode(call))
    assert [decode(answer) for answer in roll.answers_owed()] == [here(decode(call))]
    assert roll.answers_owed() == []


def test_a_flood_of_calls_is_answered_within_a_bound() -> None:
    roll, caller = RollCall(), RollCall()
    for _ in range(10 * UNANSWERED_MAX):
        call = caller.call(TWO, ALL)
        assert call is not None
        roll.hear(TWO, ME, decode(call))
    assert len(roll.answers_owed()) == UNANSWERED_MAX
