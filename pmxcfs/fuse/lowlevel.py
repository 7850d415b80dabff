"""The connection to the kernel through libfuse's low-level API: requests are run on the spot.

One task takes the requests that are there, for one turn at most, and stays with the kernel for a
moment when there are no more: what a lone caller asks for next comes sooner than another turn of
the loop would. So does what the group answers: while all that is under way waits for the group, it
is heard here too.
"""

import os
from pathlib import Path

import trio

from pmxcfs._libfuse import ffi, lib
from pmxcfs.fuse.gathered_writes import GatheredWrites
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.hearing import Hearing, hear_with
from pmxcfs.fuse.mountpoint import MountError
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.requests import Requests, answer_with
from pmxcfs.surroundings import News, NoNews
from pmxcfs.turns import TURN_S

REQUESTS_IN_A_ROW_MAX = 64
"""After so many, or at the end of a turn (see ``pmxcfs.turns``), everything else gets its own."""
LINGER_US = 100
"""How long everything else waits at most for the sake of the next request."""
HEARING_US = 2000
"""How long everything else waits at most for the sake of those who wait for the group."""
TURN_US = round(TURN_S * 1e6)
LOOK_PERIOD_S = 0.5
"""How often it is looked after who waits for too long, or was interrupted."""


class LowlevelConnection:
    """See ``session.Connection``.

    Raises:
        MountError: the kernel refused.
    """

    def __init__(
        self, operations: PmxcfsOperations, mountpoint: Path, options: tuple[str, ...]
    ) -> None:
        self._operations = operations
        self._session = lib.pmxcfs_mount(os.fsencode(mountpoint), ",".join(options).encode())
        if self._session == ffi.NULL:
            raise MountError(f"cannot mount on {mountpoint}: {os.strerror(ffi.errno)}")
        self.descriptor: int = lib.fuse_session_fd(self._session)
        self._taking = trio.CancelScope()
        self._news: News = NoNews()
        self._writes = self._gathered_writes()

    async def serve(self) -> None:
        """Answer requests until stopped or unmounted."""
        async with trio.open_nursery() as tasks:
            requests = Requests(self._operations, tasks.start_soon)
            answer_with(requests)
            tasks.start_soon(self._let_go, requests)
            if self._writes is not None:
                tasks.start_soon(self._writes.run)
            with self._taking:
                await self._take_requests(requests)
            if self._writes is not None:
                await self._writes.settle_all()
            await requests.all_answered()
            tasks.cancel_scope.cancel()

    def _gathered_writes(self) -> GatheredWrites | None:
        """Have closing wait for writes that are gathered, if any ever are."""
        if not isinstance(self._operations, GatheringOperations):
            return None
        lib.pmxcfs_hear_flushes()
        self._operations.writes.attach(lib.pmxcfs_let_closes_wait)
        return self._operations.writes

    def stop(self) -> None:
        """Take no more requests."""
        self._taking.cancel()

    def hear_too(self, news: News) -> None:
        """See ``kernel.Connection``."""
        self._news = news

    def silence_opens(self) -> bool:
        """See ``kernel.Connection``."""
        lib.pmxcfs_silence_opens()
        return True

    def forget_attributes(self, inode: int) -> None:
        """Have the kernel forget what it remembers of an inode."""
        error = -lib.fuse_lowlevel_notify_inval_inode(self._session, inode, -1, 0)
        if error > 0:
            raise OSError(error, os.strerror(error))

    def close(self) -> None:
        """Unmount."""
        lib.pmxcfs_unmount(self._session)

    async def _take_requests(self, requests: Requests) -> None:
        hearing = Hearing(self._news, requests)
        hear_with(hearing)
        taken = 0
        while taken >= 0:
            await trio.lowlevel.wait_readable(self.descriptor)
            taken = lib.pmxcfs_take_requests(
                *(self._session, REQUESTS_IN_A_ROW_MAX, TURN_US, LINGER_US),
                *(requests.patience, hearing.descriptor, HEARING_US),
            )
            hearing.raise_failure()

    async def _let_go(self, requests: Requests) -> None:
        while True:
            await requests.one_under_way()
            await trio.sleep(LOOK_PERIOD_S)
            self._operations.end_overdue()
            requests.end_interrupted()
