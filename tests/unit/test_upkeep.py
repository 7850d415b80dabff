"""An open database is looked after: synced, kept short, tried again, and watched."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import apsw
import pytest
import trio

from pmxcfs import upkeep
from pmxcfs.checkpoints import BYTES_MAX
from pmxcfs.database import Database
from pmxcfs.dcdb import DiskState
from pmxcfs.driver import Driver
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Write
from pmxcfs.replica import Replica
from tests.unit.test_driver import ALONE

PAGE_BYTES = 4096
WITHIN_S = 10


class Scene:
    """A standalone node with a database on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path, 0)
        replica = Replica(Memdb(self.database.load(), 0), node_name="alone", standalone=True)
        self.driver = Driver(replica, self.database, lambda: 0)
        group = LoopbackGroup(ALONE, self.driver.feed)
        self.driver.attach(group)
        group.start()

    @property
    def log_pages(self) -> int:
        return self.path.with_name("config.db-wal").stat().st_size // PAGE_BYTES


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "config.db")
    with trio.fail_after(WITHIN_S):
        async with upkeep.looked_after(scene.database, scene.driver, scene.path):
            yield scene
    scene.database.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  (a thread changes it)
        await trio.sleep(0.001)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_a_sync_reaches_the_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = scene.database._files.sync  # type: ignore[union-attr]

    def noted() -> None:
        synced.append("log")
        sync()

    monkeypatch.setattr(scene.database._files, "sync", noted)
    await scene.driver.submit(Create(b"a"))
    await scene.driver.sync()
    assert synced == ["log"]


async def test_what_a_lock_delayed_is_tried_again(scene: Scene) -> None:
    with locked(scene.path):
        scene.driver.begin(Create(b"a"), lambda result: None)
        assert scene.driver.waiting is not None
    await until(lambda: scene.driver.waiting is None)
    assert scene.driver.replica.memdb.tree.find(b"a") is not None


async def test_the_log_is_emptied_between_commits_and_not_by_them(scene: Scene) -> None:
    await scene.driver.submit(Create(b"a"))
    contents = [
        bytes([number]) * 100 * PAGE_BYTES for number in range(2 * BYTES_MAX // PAGE_BYTES // 100)
    ]
    for content in contents[:20]:
        scene.driver.begin(Write(b"a", 0, content), lambda result: None)
    assert scene.log_pages > 2000
    for content in contents[20:]:
        await scene.driver.submit(Write(b"a", 0, content))
    assert scene.log_pages < BYTES_MAX // PAGE_BYTES + 200


async def test_a_database_that_is_taken_away_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PLACE_CHECK_PERIOD_S", 0.01)
    scene = Scene(tmp_path / "config.db")
    with trio.fail_after(WITHIN_S):
        async with upkeep.looked_after(scene.database, scene.driver, scene.path):
            await trio.sleep(0.05)
            assert scene.driver.replica.disk is DiskState.WRITABLE
            scene.path.rename(tmp_path / "elsewhere.db")
            await until(lambda: scene.driver.replica.disk is DiskState.FAILED)
    scene.database.close()
