"""A mount from its beginning to its end, over either of the two bindings to the kernel.

Both keep state for the whole process: there is one mount in a process at a time.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from pmxcfs.fuse import mountpoint as mountpoints
from pmxcfs.fuse.invalidation import Invalidator
from pmxcfs.fuse.kernel import Connection, Kernel
from pmxcfs.fuse.lowlevel import LowlevelConnection
from pmxcfs.fuse.mountpoint import MountError
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.options import FuseBinding
from pmxcfs.surroundings import News

log = structlog.get_logger("main")

OPTIONS = ("allow_other", "default_permissions", "fsname=/dev/fuse")

PREPARATION_S_MAX = 10
ANSWERING_S_MAX = 2
"""How long requests under way may take to be answered when the mount is to end."""
INVALIDATION_S_MAX = 1
UNMOUNT_S_MAX = 5


class Mount:
    """A mounted file system that waits to be served. Requests wait until then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_stopping = False
        self._answering: trio.CancelScope | None = None

    def hear_too(self, news: News) -> None:
        """Name what requests wait for: it is heard without a turn of the event loop."""
        self._connection.hear_too(news)

    async def serve(self) -> None:
        """Answer requests until somebody stops or unmounts it.

        When stopped or cancelled, requests under way are answered first, within a bound.
        """
        if self._is_stopping:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_when_cancelled)
            with trio.CancelScope(shield=True) as self._answering:
                await self._connection.serve()
            if self._answering.cancelled_caught:
                log.warning("some requests were still under way and stay without an answer")
            self._answering = None
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Take no more requests, and let ``serve`` return."""
        self._is_stopping = True
        if self._answering is not None:
            self._answering.deadline = trio.current_time() + ANSWERING_S_MAX
            self._connection.stop()

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.stop()


@asynccontextmanager
async def mounted(
    operations: PmxcfsOperations,
    mountpoint: Path,
    binding: FuseBinding = FuseBinding.LOWLEVEL,
) -> AsyncIterator[Mount]:
    """Mount the file system, and unmount it however the block ends.

    Raises:
        MountError: the directory is not fit to be mounted on, or the kernel refused.
    """
    mountpoint = await _prepare(mountpoint)
    connection = _connect(binding, operations, mountpoint)
    kernel = Kernel(connection)
    operations.silence_opens(kernel.forgets_names and connection.silence_opens())
    invalidator = Invalidator(kernel)
    try:
        invalidator.start()
        operations.cache.attach(invalidator)
        yield Mount(connection)
    finally:
        log.info("teardown filesystem")
        await _unmount(mountpoint, connection, invalidator)


def _connect(binding: FuseBinding, operations: PmxcfsOperations, mountpoint: Path) -> Connection:
    if binding is FuseBinding.LOWLEVEL:
        return LowlevelConnection(operations, mountpoint, OPTIONS)
    from pmxcfs.fuse.through_pyfuse3 import Pyfuse3Connection  # memory and time, for those alone

    return Pyfuse3Connection(operations, mountpoint, OPTIONS)


async def _prepare(mountpoint: Path) -> Path:
    with trio.move_on_after(PREPARATION_S_MAX):
        return await trio.to_thread.run_sync(
            mountpoints.prepare, mountpoint, abandon_on_cancel=True
        )
    raise MountError(f"what is mounted on {mountpoint} does not answer")


async def _unmount(mountpoint: Path, connection: Connection, invalidator: Invalidator) -> None:
    """Unmount within a bound, whatever happens to us meanwhile."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + UNMOUNT_S_MAX):
        await trio.to_thread.run_sync(
            _close, mountpoint, connection, invalidator, abandon_on_cancel=True
        )
        return
    log.error("unmounting takes too long, the mount is left behind", mountpoint=str(mountpoint))


def _close(mountpoint: Path, connection: Connection, invalidator: Invalidator) -> None:
    """Close the connection to the kernel, which unmounts unless somebody else already did.

    The invalidator must not use the connection then.
    """
    if not invalidator.stop(INVALIDATION_S_MAX):
        raise MountError(f"the kernel holds on to {mountpoint}, which is left as it is")
    connection.close()
