"""The driver is told of time that passed, but not of time in which nobody could work."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from pmxcfs import clockwork
from pmxcfs.driver import Driver
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Event, Replica, VerifyDue
from pmxcfs.waits.vigil import TimePassed


class _Deaf:
    def commit(self, changes: object) -> None:
        raise AssertionError("time changes nothing")

    probe = commit


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    told: list[float] = []

    def step(replica: Replica, event: Event, now_s: int) -> list[object]:
        assert isinstance(event, TimePassed)
        told.append(event.passed_s)
        return []

    monkeypatch.setattr(Replica, "step", step)
    return told


def driver() -> Driver:
    replica = Replica(Memdb(Tree.new(), 0), node_name="node1", standalone=False)
    return Driver(replica, _Deaf(), lambda: 0)  # type: ignore[arg-type]


async def test_time_is_told_as_it_passes(
    told: list[float], autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(10 * clockwork.PERIOD_S + 0.01):
        await clockwork.tell_time(driver().feed)
    assert told == pytest.approx([clockwork.PERIOD_S] * 10)


async def test_a_long_pause_is_told_as_a_short_one(
    told: list[float], mock_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(100.2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clockwork.tell_time, driver().feed)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(100.0)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert told == [clockwork.STEP_S_MAX]


async def test_once_an_hour_it_is_time_to_compare_the_trees(
    autojump_clock: trio.testing.MockClock,
) -> None:
    due_s: list[float] = []

    def note(events: Sequence[VerifyDue]) -> None:
        assert events == [VerifyDue()]
        due_s.append(trio.current_time() - began_s)

    began_s = trio.current_time()
    with trio.move_on_after(3 * 3600 + 1):
        await clockwork.verify_now_and_then(note)
    assert due_s == pytest.approx([3600, 7200, 10800])
