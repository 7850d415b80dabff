"""The write-ahead log stays short, and no commit waits for the disk."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
import structlog.testing
import trio
import trio.testing

from pmxcfs import checkpoints as checkpoints_module
from pmxcfs import patience
from pmxcfs.checkpoints import BYTES_DUE, BYTES_MAX, HOLD_S_MAX, Checkpoints
from pmxcfs.database import Database
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Operation, Write

PAGE_BYTES = 4096
PAGES_DUE = BYTES_DUE // PAGE_BYTES
PAGES_MAX = BYTES_MAX // PAGE_BYTES
WITHIN_S = 10


class Scene:
    """An open database with what keeps its log short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path, 0)
        self.memdb = Memdb(self.database.load(), 0)
        self.failures: list[StorageError] = []
        self.checkpoints = Checkpoints(path, self.failures.append)
        self.pages: list[int] = []
        self.database.attach_log_keeper(self)

    @property
    def has_room(self) -> bool:
        return self.checkpoints.has_room

    def note_size(self, size_bytes: int) -> None:
        self.pages.append(size_bytes // PAGE_BYTES)
        self.checkpoints.note_size(size_bytes)

    @property
    def log_pages(self) -> int:
        return self.path.with_name("config.db-wal").stat().st_size // PAGE_BYTES

    async def do(self, operation: Operation) -> None:
        outcome = self.memdb.apply(operation, 1, 5, 0)
        assert outcome.result >= 0
        with trio.fail_after(WITHIN_S):
            while True:
                await trio.lowlevel.checkpoint()
                try:
                    return self.database.commit(outcome.changes)
                except TemporaryStorageError:
                    await trio.sleep(0.001)

    async def write(self, pages: int) -> None:
        """Let the log grow."""
        if self.memdb.tree.find(b"f") is None:
            await self.do(Create(b"f"))
        for number in range(pages // 100 + 1):
            data = bytes([number % 256]) * 100 * PAGE_BYTES
            await self.do(Write(b"f", 0, data, truncate=True))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "config.db")
    yield scene
    scene.database.close()


@asynccontextmanager
async def running(checkpoints: Checkpoints) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkpoints.run)
        yield
        nursery.cancel_scope.cancel()


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(WITHIN_S):
        while not is_so():  # noqa: ASYNC110  (a thread changes it)
            await trio.sleep(0.001)


async def until_idle(scene: Scene) -> None:
    await trio.testing.wait_all_tasks_blocked()
    await until(scene.checkpoints._is_idle.is_set)
    await trio.testing.wait_all_tasks_blocked()


async def test_no_commit_makes_a_checkpoint(scene: Scene) -> None:
    await scene.write(PAGES_MAX - 200)
    assert scene.pages[-1] >= PAGES_MAX - 200


async def test_a_log_that_has_grown_begins_anew(scene: Scene) -> None:
    async with running(scene.checkpoints):
        await scene.write(PAGES_DUE)
        await until_idle(scene)
        await scene.do(Write(b"f", 0, b"x"))
    assert scene.pages[-1] < 10


async def test_a_short_log_is_left_alone(scene: Scene) -> None:
    await scene.write(PAGES_DUE - 200)
    assert not scene.checkpoints._wanted.is_set()
    await scene.write(200)
    assert scene.checkpoints._wanted.is_set()


async def test_the_log_is_bounded_while_somebody_writes_without_a_pause(scene: Scene) -> None:
    async with running(scene.checkpoints):
        while len(scene.pages) < 1000:
            await scene.write(100)
    assert max(scene.pages) < PAGES_MAX + 200
    assert scene.log_pages < PAGES_MAX + 200
    assert scene.failures == []


async def test_who_keeps_the_log_from_being_emptied_is_noticed_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "BYTES_MAX", 1000 * PAGE_BYTES)
    monkeypatch.setattr(checkpoints_module, "BYTES_ALARMING", 2500 * PAGE_BYTES)
    reader = apsw.Connection(str(scene.path))
    reader.execute("BEGIN; SELECT * FROM tree").fetchall()
    with structlog.testing.capture_logs() as lines:
        async with running(scene.checkpoints):
            for _ in range(5):
                await scene.write(1000)
                await until_idle(scene)
            reader.close()
            await scene.write(1000)
            await until_idle(scene)
            await scene.do(Write(b"f", 0, b"x"))
    assert [line["log_level"] for line in lines] == ["warning"]
    assert scene.pages[-1] < 1100
    assert scene.failures == []


async def test_commits_wait_for_a_checkpoint_but_not_for_a_disk_that_is_slow(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    checkpoints = Checkpoints(tmp_path / "config.db", lambda error: None)
    checkpoints.note_size(BYTES_MAX - 1)
    assert checkpoints.has_room
    size_bytes = BYTES_MAX
    for _ in range(3):
        checkpoints.note_size(size_bytes)
        mock_clock.jump(HOLD_S_MAX - 0.01)
        assert not checkpoints.has_room
        mock_clock.jump(0.01)
        assert checkpoints.has_room
        checkpoints.note_size(size_bytes + 1)  # who has waited writes
        assert checkpoints.has_room
        size_bytes += 1 + BYTES_DUE
    assert HOLD_S_MAX < patience.WAIT_S_MAX / 2


async def test_while_a_checkpoint_does_not_end_all_is_written_and_the_log_grows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    work = scene.checkpoints._work

    def slow() -> None:
        assert may_end.wait(WITHIN_S)
        work()

    monkeypatch.setattr(scene.checkpoints, "_work", slow)
    monkeypatch.setattr(checkpoints_module, "HOLD_S_MAX", 0.01)
    async with running(scene.checkpoints):
        await scene.write(3 * PAGES_MAX)
        assert scene.pages[-1] >= 3 * PAGES_MAX
        may_end.set()
        await until_idle(scene)
        await scene.write(100)
        await until_idle(scene)
        await scene.do(Write(b"f", 0, b"x"))
    assert scene.pages[-1] < PAGES_DUE
    assert scene.failures == []


async def test_a_checkpoint_that_fails_is_reported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr(scene.checkpoints, "_work", fail)
    async with running(scene.checkpoints):
        scene.checkpoints.note_size(BYTES_DUE)
        await until(lambda: bool(scene.failures))
        scene.checkpoints._is_idle.set()
    assert "disk I/O error" in str(scene.failures[0])


async def test_it_ends_with_nothing_left_open(scene: Scene) -> None:
    async with running(scene.checkpoints):
        await scene.write(PAGES_DUE)
        await until_idle(scene)
    assert scene.checkpoints._connection is not None
    scene.database.close()
    assert [file.name for file in scene.path.parent.iterdir()] == ["config.db"]
    scene.database = Database.open(scene.path, 0)
