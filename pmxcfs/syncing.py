"""Shares one sync of the disk among all who ask for one while another is under way."""

from collections.abc import Callable
from time import perf_counter_ns

import structlog
import trio

from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.tallies import Durations

log = structlog.get_logger("database")

SYNC_WAIT_S_MAX = 60
"""How long somebody waits for the disk; then it has not failed, but nobody knows better."""


class _Turn:
    """One sync, and all who wait for it; it begins after the last of them asked."""

    __slots__ = ("done", "error")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: StorageError | None = None


class SharedSync:
    """A sync of the disk that many can wait for. ``run`` has to run meanwhile.

    Args:
        sync: does it, in a thread; raises StorageError.

    Attributes:
        durations: of the syncs, however they ended.
        waiting: since when (trio's clock) each of those waits who wait now, the first one first.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self.durations = Durations()
        self.waiting: dict[object, float] = {}
        self._sync = sync
        self._next = _Turn()
        self._wanted = trio.Event()

    async def wait(self) -> None:
        """Return once a sync that began after this call has ended well.

        Raises:
            TemporaryStorageError: the disk takes too long.
            StorageError: the sync failed.
        """
        turn, caller = self._next, object()
        self._wanted.set()
        self.waiting[caller] = trio.current_time()
        try:
            with trio.move_on_after(SYNC_WAIT_S_MAX) as patience:
                await turn.done.wait()
        finally:
            del self.waiting[caller]
        if patience.cancelled_caught:
            log.warning("gave up waiting for the disk to sync", waited_s=SYNC_WAIT_S_MAX)
            raise TemporaryStorageError("the disk does not answer")
        if turn.error is not None:
            raise turn.error

    async def run(self) -> None:
        """Sync for as long as there is somebody who waits. Runs until cancelled."""
        while True:
            await self._wanted.wait()
            turn, self._next, self._wanted = self._next, _Turn(), trio.Event()
            began_ns = perf_counter_ns()
            try:
                await trio.to_thread.run_sync(self._sync, abandon_on_cancel=True)
            except StorageError as error:
                turn.error = error
            self.durations.note(perf_counter_ns() - began_ns)
            turn.done.set()
