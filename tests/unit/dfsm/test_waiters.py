"""Local callers: each ticket is answered exactly once, whatever happens."""

from collections.abc import Callable
from errno import EBUSY, EEXIST, EPERM

import pytest

from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Ticket
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.waiters import Waiters
from tests.unit.dfsm.stage import HIGH, LOW, ME, VERSION, Said, Stage, normal, stage_in

LEAVE = LeaveGroup(for_good=False)
LEAVE_FOR_GOOD = LeaveGroup(for_good=True)


def answer(ticket: int, result: int) -> Answer:
    return Answer(Ticket(ticket), result)


@pytest.mark.parametrize("result", [0, 12, -EEXIST])
def test_a_caller_gets_the_result_of_applying_here(result: int) -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.result = result

    assert stage.hears(ME, stage.sends(b"x", ticket=71)) == [answer(71, result)]


def test_callers_are_told_apart_by_the_count_of_their_message_not_by_their_ticket() -> None:
    waiters = Waiters()
    for count, ticket in ((5, 70), (6, 60), (7, 6), (8, 5)):
        waiters.register(count, Ticket(ticket))
    assert waiters.oldest == 5

    assert waiters.lose(7) == [answer(6, -EBUSY)]
    assert waiters.lose(7) == []
    assert waiters.settle(5, 3) == [answer(70, 3)]
    assert waiters.settle(4, 3) == []
    assert waiters.settle(8, 0) == [answer(60, -EBUSY), answer(5, 0)]
    assert waiters.oldest is None


def test_the_commit_comes_before_the_answer() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.effects["deliver"] = (Said("commit"),)

    assert stage.hears(ME, stage.sends(b"x", ticket=1)) == [Said("commit"), answer(1, 0)]


def test_a_message_of_somebody_else_with_the_same_count_answers_nobody() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.sends(b"x", ticket=1)

    assert stage.hears(HIGH, normal(1)) == []


def test_a_message_that_comes_twice_answers_once() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"x", ticket=1)

    assert stage.hears(ME, data) == [answer(1, 0)]
    assert stage.hears(ME, data) == []


def test_a_message_without_a_ticket_answers_nobody() -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.hears(ME, stage.sends(b"x")) == []


def test_a_refused_message_gives_eperm_and_the_others_ebusy() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.refuse("deliver")
    refused = stage.sends(b"x", ticket=1)
    stage.sends(b"y", ticket=2)

    assert stage.hears(ME, refused) == [answer(1, -EPERM), answer(2, -EBUSY), LEAVE]


def test_a_later_message_of_ours_tells_that_the_earlier_ones_are_lost() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.sends(b"lost", ticket=1)
    later = stage.sends(b"later", ticket=2)

    assert stage.hears(ME, later) == [answer(1, -EBUSY), answer(2, 0)]


def test_a_failed_send_gives_ebusy() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"x", ticket=1)

    assert stage.machine.on_send_failed(data) == [answer(1, -EBUSY)]
    assert stage.mode is Mode.SYNCED


ENDINGS: dict[str, tuple[Callable[[Stage], list[Effect]], list[Effect]]] = {
    "disconnect": (lambda stage: stage.machine.disconnect(), []),
    "connect": (lambda stage: stage.machine.connect(ME), []),
    "leave": (lambda stage: stage.machine.leave(), [LEAVE]),
    "fail": (lambda stage: stage.machine.fail(), [LEAVE_FOR_GOOD]),
    "junk": (lambda stage: stage.hears(LOW, b""), [LEAVE]),
    "newer protocol": (
        lambda stage: stage.hears(LOW, normal(1, version=VERSION + 1)),
        [LEAVE_FOR_GOOD],
    ),
    "not listed": (lambda stage: stage.members(LOW, HIGH), [LEAVE]),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nobody_waits_for_ever(ending: str) -> None:
    stage = stage_in(Mode.SYNCED)
    first, second = stage.sends(b"x", ticket=1), stage.sends(b"y", ticket=2)
    end, consequences = ENDINGS[ending]

    assert end(stage) == [answer(1, -EBUSY), answer(2, -EBUSY), *consequences]

    later = [
        *stage.hears(ME, first),
        *stage.machine.on_send_failed(second),
        *stage.machine.disconnect(),
    ]
    assert not [effect for effect in later if isinstance(effect, Answer)]


def test_a_caller_keeps_waiting_through_a_synchronisation() -> None:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"x", ticket=1)

    assert stage.members(LOW, ME) == []
    assert stage.hears(ME, data) == []


def test_a_broken_disk_leaves_for_good() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.break_disk("deliver")
    data = stage.sends(b"x", ticket=1)

    assert stage.hears(ME, data) == [answer(1, -EBUSY), LEAVE_FOR_GOOD]
    assert stage.mode is Mode.ERROR


def test_what_came_back_is_answered_though_it_was_sent_again() -> None:
    waiters = Waiters()
    waiters.register(5, Ticket(50))
    assert waiters.settle(5, 3, lambda count: True) == [answer(50, 3)]
