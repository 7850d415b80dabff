"""When a checkpoint is due, which refusals may pass, and what the end waits for."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path

import apsw
import pytest
import structlog.testing
import trio
import trio.testing

from pmxcfs import checkpoints as checkpoints_module
from pmxcfs.checkpoints import BYTES_ALARMING, BYTES_DUE, BYTES_MAX, LOCK_WAIT_MS, Checkpoints
from pmxcfs.errors import StorageError

WITHIN_S = 10


class Connection:
    """A connection that remembers whether it was closed."""

    def __init__(self, system_errno: int = 0) -> None:
        self.system_errno = system_errno
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Scene:
    """A log, of which only the length is told, and its checkpoints."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[StorageError] = []
        self.checkpoints = Checkpoints(path, self.failures.append)
        self.worked = 0
        self._monkeypatch = monkeypatch
        self.work(lambda: None)

    def work(self, function: Callable[[], object]) -> None:
        """Let every checkpoint do this, in its thread."""

        def work() -> None:
            self.worked += 1
            try:
                function()
            finally:
                self.checkpoints._is_idle.set()

        self._monkeypatch.setattr(self.checkpoints, "_work", work)

    async def until(self, is_so: Callable[[], bool]) -> None:
        with trio.fail_after(WITHIN_S):
            while not is_so():  # noqa: ASYNC110  (a thread changes it)
                await trio.sleep(0.001)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.checkpoints.run)
            await trio.testing.wait_all_tasks_blocked()
            yield
            nursery.cancel_scope.cancel()

    @property
    def ended(self) -> int:
        """Return how many checkpoints have ended."""
        return sum(self.checkpoints.durations.counts)

    async def checkpoint_at(self, size: int) -> None:
        """Let the log grow so far, and one checkpoint follow."""
        before = self.ended
        self.checkpoints.note_size(size)
        await self.until(lambda: self.ended > before)
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path / "config.db", monkeypatch)


async def test_what_is_written_is_counted_over_every_beginning_of_the_log(scene: Scene) -> None:
    checkpoints = scene.checkpoints
    assert (checkpoints.size_bytes, checkpoints.written_bytes) == (0, 0)
    for size in (3, 5, 5, 2, 1):
        checkpoints.note_size(size)
    assert (checkpoints.size_bytes, checkpoints.written_bytes) == (1, 3 + 2 + 0 + 2 + 1)


async def test_a_long_log_is_told_once_until_it_begins_anew(scene: Scene) -> None:
    with structlog.testing.capture_logs() as lines:
        scene.checkpoints.note_size(BYTES_ALARMING - 1)
        assert lines == []
        for size in (BYTES_ALARMING, BYTES_ALARMING, BYTES_ALARMING + 1):
            scene.checkpoints.note_size(size)
        assert len(lines) == 1
        for size in (1, BYTES_ALARMING, BYTES_ALARMING - 1, BYTES_ALARMING):
            scene.checkpoints.note_size(size)
    assert len(lines) == 3


async def test_without_a_reason_there_is_no_checkpoint(scene: Scene) -> None:
    async with scene.running():
        scene.checkpoints.note_size(BYTES_DUE - 1)
        await trio.testing.wait_all_tasks_blocked()
    assert scene.worked == 0


async def test_each_checkpoint_takes_as_much_more(scene: Scene) -> None:
    async with scene.running():
        await scene.checkpoint_at(BYTES_DUE)
        scene.checkpoints.note_size(2 * BYTES_DUE - 1)
        await trio.testing.wait_all_tasks_blocked()
        assert scene.worked == 1
        await scene.checkpoint_at(2 * BYTES_DUE)
    assert scene.worked == 2
    assert 0 < scene.checkpoints.durations.total_ns < 2 * WITHIN_S * 10**9


async def test_what_is_written_during_a_checkpoint_makes_no_other_one(scene: Scene) -> None:
    may_end = threading.Event()
    scene.work(lambda: may_end.wait(WITHIN_S))
    async with scene.running():
        scene.checkpoints.note_size(BYTES_DUE)
        await scene.until(lambda: scene.worked == 1)
        scene.checkpoints.note_size(BYTES_DUE + 1)
        may_end.set()
        await scene.until(lambda: scene.ended == 1)
        await trio.testing.wait_all_tasks_blocked()
    assert scene.worked == 1


async def test_after_a_checkpoint_of_a_full_log_there_is_room_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "HOLD_S_MAX", 3600)
    async with scene.running():
        await scene.checkpoint_at(BYTES_MAX)
        assert scene.checkpoints.has_room


@pytest.mark.parametrize(
    ("error", "system_errno", "is_fatal"),
    [
        (apsw.BusyError, 0, False),
        (apsw.FullError, 0, False),
        (apsw.IOError, ENOSPC, False),
        (apsw.IOError, EDQUOT, False),
        (apsw.IOError, EIO, True),
        (apsw.IOError, None, True),
    ],
)
async def test_only_a_lock_and_a_lack_of_room_pass(
    scene: Scene, error: type[apsw.Error], system_errno: int | None, is_fatal: bool
) -> None:
    def fail() -> None:
        raise error("no")

    scene.work(fail)
    if system_errno is not None:
        scene.checkpoints._connection = Connection(system_errno)  # type: ignore[assignment]
    with structlog.testing.capture_logs() as lines:
        async with scene.running():
            await scene.checkpoint_at(BYTES_DUE)
    assert bool(scene.failures) is is_fatal
    assert [line["log_level"] for line in lines] == ([] if is_fatal else ["warning"])


async def test_a_checkpoint_that_is_under_way_may_end_before_the_connection_is_closed(
    scene: Scene,
) -> None:
    may_end = threading.Event()
    ended: list[bool] = []
    checkpoints, connection = scene.checkpoints, Connection()

    class Idle(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            may_end.set()
            return super().wait(timeout)

    checkpoints._is_idle, checkpoints._connection = Idle(), connection  # type: ignore[assignment]
    scene.work(lambda: ended.append(may_end.wait(WITHIN_S)))
    async with scene.running():
        checkpoints.note_size(BYTES_DUE)
        await scene.until(lambda: scene.worked == 1)
    assert (ended, connection.is_closed) == ([True], True)


async def test_a_connection_that_hangs_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "ENDING_S_MAX", 0.01)
    may_end = threading.Event()
    connection = Connection()
    scene.checkpoints._connection = connection  # type: ignore[assignment]
    scene.work(lambda: may_end.wait(WITHIN_S))
    async with scene.running():
        scene.checkpoints.note_size(BYTES_DUE)
        await scene.until(lambda: scene.worked == 1)
    may_end.set()
    assert not connection.is_closed


async def test_nothing_is_waited_for_at_the_end_where_nothing_runs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "ENDING_S_MAX", 3600)
    with trio.fail_after(WITHIN_S):
        async with scene.running():
            pass
    assert scene.checkpoints._is_idle.is_set()


async def test_its_connection_waits_little_and_syncs_before_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "config.db"
    apsw.Connection(str(path)).execute("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
    checkpoints = Checkpoints(path, lambda error: None)
    checkpoints._work()
    assert checkpoints._connection is not None
    assert checkpoints._connection.pragma("busy_timeout") == LOCK_WAIT_MS
    assert checkpoints._connection.pragma("synchronous") == 1
    checkpoints._connection.close()
