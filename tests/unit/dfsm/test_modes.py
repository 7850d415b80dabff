"""Which mode may follow which."""

import pytest

from pmxcfs.dfsm.effects import LeaveGroup
from pmxcfs.dfsm.modes import Mode, may_follow
from tests.unit.dfsm.stage import stage_in

NORMAL = [Mode.START, Mode.START_SYNC, Mode.SYNCED, Mode.UPDATE]
ERRORS = [Mode.LEAVE, Mode.VERSION_ERROR, Mode.ERROR]


@pytest.mark.parametrize("current", Mode)
@pytest.mark.parametrize("new", Mode)
def test_a_lesser_error_never_hides_a_greater_one(current: Mode, new: Mode) -> None:
    expected = new != current and (new in NORMAL or current in NORMAL or new > current)
    assert may_follow(current, new) == expected


def test_the_numbers_are_those_that_status_texts_show() -> None:
    assert [mode.value for mode in NORMAL + ERRORS] == [0, 1, 2, 3, 253, 254, 255]


def test_errors_and_final_errors_are_told_apart() -> None:
    assert [mode for mode in Mode if mode.is_error] == ERRORS
    assert [mode for mode in Mode if mode.is_final] == [Mode.VERSION_ERROR, Mode.ERROR]


def test_a_failed_database_turns_leaving_into_leaving_for_good() -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.machine.leave() == [LeaveGroup(for_good=False)]
    assert stage.machine.fail() == [LeaveGroup(for_good=True)]
    assert stage.machine.leave() == []
    assert stage.machine.fail() == []
    assert stage.mode is Mode.ERROR
