"""One sync of the disk for all who ask, and what becomes of those who wait for it."""

import threading

import pytest
import trio
import trio.testing

from pmxcfs import syncing
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.syncing import SharedSync

WITHIN_S = 10


class SlowDisk:
    """Each sync waits for the test to let it end."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Semaphore(0)
        self.error: StorageError | None = None

    def sync(self) -> None:
        self.begun += 1
        assert self.may_end.acquire(timeout=WITHIN_S)
        if self.error is not None:
            raise self.error


async def begun(disk: SlowDisk, count: int) -> None:
    with trio.fail_after(WITHIN_S):
        while disk.begun < count:  # noqa: ASYNC110  (a thread changes it)
            await trio.sleep(0.001)


async def test_who_asks_during_a_sync_waits_for_the_next_which_all_of_them_share(
    nursery: trio.Nursery,
) -> None:
    disk, ended = SlowDisk(), []
    syncs = SharedSync(disk.sync)
    nursery.start_soon(syncs.run)

    async def ask(name: str) -> None:
        await syncs.wait()
        ended.append(name)

    async with trio.open_nursery() as callers:
        callers.start_soon(ask, "first")
        await begun(disk, 1)
        for _ in range(20):
            callers.start_soon(ask, "later")
        await trio.testing.wait_all_tasks_blocked()
        assert (disk.begun, ended) == (1, [])
        disk.may_end.release()
        await begun(disk, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert ended == ["first"]
        disk.may_end.release()
    assert (disk.begun, ended) == (2, ["first", *["later"] * 20])


async def test_a_failure_reaches_all_who_share_the_sync_and_nobody_else(
    nursery: trio.Nursery,
) -> None:
    disk = SlowDisk()
    syncs = SharedSync(disk.sync)
    nursery.start_soon(syncs.run)
    disk.error = StorageError("broken")
    for _ in range(2):
        disk.may_end.release()
    with pytest.raises(StorageError, match="broken"):
        await syncs.wait()
    disk.error = None
    await syncs.wait()


async def test_a_disk_that_does_not_answer_is_given_up(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "SYNC_WAIT_S_MAX", 0.01)
    disk = SlowDisk()
    syncs = SharedSync(disk.sync)
    nursery.start_soon(syncs.run)
    with pytest.raises(TemporaryStorageError):
        await syncs.wait()
    disk.may_end.release()


async def test_a_disk_that_hangs_does_not_keep_the_daemon_from_ending() -> None:
    disk = SlowDisk()
    syncs = SharedSync(disk.sync)
    with trio.fail_after(WITHIN_S / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(syncs.run)
            nursery.start_soon(syncs.wait)
            await begun(disk, 1)
            nursery.cancel_scope.cancel()
    disk.may_end.release()
