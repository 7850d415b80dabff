"""The end of the process has a bound, and whoever looks for the reason finds it in the log."""

import threading

from structlog.testing import capture_logs

from pmxcfs.ending import Ending
from pmxcfs.exits import ExitStatus


def test_an_end_that_takes_too_long_is_cut_short_and_says_what_it_waited_for() -> None:
    left, statuses = threading.Event(), []

    def leave(status: int) -> None:
        statuses.append(status)
        left.set()

    ending = Ending(0.01, leave)
    ending.wait_for("the database")
    with capture_logs() as lines:
        ending.begin()
        ending.begin()
        assert left.wait(10)
    assert statuses == [ExitStatus.FAILURE]
    assert [line["waits_for"] for line in lines] == ["the database"]


def test_an_end_in_time_is_left_alone() -> None:
    statuses: list[int] = []
    ending = Ending(0.05, statuses.append)
    ending.begin()
    timer = ending._timer
    assert timer is not None
    ending.over()
    timer.join(10)
    assert statuses == []


def test_without_a_wish_to_end_nothing_ends() -> None:
    Ending(0, lambda status: None).over()
