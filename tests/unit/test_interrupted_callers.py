"""Callers who were interrupted: what becomes of their changes."""

from errno import EINTR

import trio
import trio.testing

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.driver import ANSWER_WAIT_S_MAX, Driver
from pmxcfs.errors import OperationError
from pmxcfs.memdb.operations import Create
from pmxcfs.stepping import Step
from tests.unit.test_driver import ME, OTHER, Disk, Outbox, clustered


class Caller:
    """A step that makes a file."""

    def __init__(self, driver: Driver) -> None:
        self.results: list[object] = []
        self.step = Step(driver.submit(Create(b"a")), self.results.append, self.results.append)
        self.step.run()

    @property
    def errno(self) -> int:
        (error,) = self.results
        assert isinstance(error, OperationError)
        return error.errno


async def test_what_was_not_sent_when_its_caller_was_interrupted_is_never_sent() -> None:
    driver = clustered(Disk(), outbox := Outbox())
    driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    sent_by_sync = len(outbox.sent)
    caller = Caller(driver)
    caller.step.interrupt()
    assert caller.errno == EINTR
    driver.feed([ConfigurationChange((ME,), left=(OTHER,))])
    assert driver.is_settled
    assert len(outbox.sent) == sent_by_sync
    assert driver.caller_count == 0


async def test_what_was_sent_when_its_caller_was_interrupted_may_be_done_for_nobody() -> None:
    driver = clustered(Disk(), outbox := Outbox())
    caller = Caller(driver)
    caller.step.interrupt()
    assert caller.errno == EINTR
    driver.feed([Delivered(ME, outbox.sent[-1])])
    assert driver.replica.memdb.tree.find(b"a") is not None
    assert len(caller.results) == 1


async def test_a_task_that_is_cancelled_takes_back_what_was_not_sent() -> None:
    driver = clustered(Disk(), outbox := Outbox())
    driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    sent_by_sync = len(outbox.sent)
    with trio.CancelScope() as patience:
        patience.cancel()
        await driver.submit(Create(b"a"))
    assert patience.cancelled_caught
    driver.feed([ConfigurationChange((ME,), left=(OTHER,))])
    assert len(outbox.sent) == sent_by_sync


async def test_the_bound_passes_an_interrupted_caller_by(
    autojump_clock: trio.testing.MockClock,
) -> None:
    driver = clustered(Disk(), Outbox())
    caller = Caller(driver)
    caller.step.interrupt()
    await trio.sleep(ANSWER_WAIT_S_MAX + 1)
    driver.end_overdue()
    assert caller.errno == EINTR
