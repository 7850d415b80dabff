"""The connection to the kernel through pyfuse3: a task for each request.

Slower than ``lowlevel``, and here for when that is in doubt.
"""

import contextlib
from collections.abc import Coroutine, Sequence
from errno import EINVAL, EIO
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeVar

import pyfuse3
import structlog

from pmxcfs.callers import CALLERS_MAX
from pmxcfs.errors import OperationError
from pmxcfs.fuse.attributes import (
    BLOCK_SIZE_BYTES,
    CACHE_S,
    NAME_BYTES_MAX,
    NANOSECONDS,
    Stat,
)
from pmxcfs.fuse.mountpoint import MountError
from pmxcfs.fuse.operations import PmxcfsOperations, Wanted
from pmxcfs.surroundings import News

log = structlog.get_logger("main")

R = TypeVar("R")

_DEVICE = Path("/dev/fuse")

REQUESTS_AT_ONCE_MAX = 2 * CALLERS_MAX
"""However many changes wait for the group, there are places left for reads."""


class Pyfuse3Connection:
    """See ``session.Connection``.

    Raises:
        MountError: the kernel refused.
    """

    def __init__(
        self, operations: PmxcfsOperations, mountpoint: Path, options: tuple[str, ...]
    ) -> None:
        try:
            pyfuse3.init(_Handlers(operations), str(mountpoint), set(options))
        except RuntimeError as error:
            raise MountError(f"cannot mount on {mountpoint}: {error}") from error
        self.descriptor = _session_descriptor()

    async def serve(self) -> None:
        """Answer requests until stopped or unmounted."""
        await pyfuse3.main(max_tasks=REQUESTS_AT_ONCE_MAX)

    def stop(self) -> None:
        """Take no more requests."""
        pyfuse3.terminate()

    def hear_too(self, news: News) -> None:
        """See ``kernel.Connection``; here the event loop turns after each request."""

    def silence_opens(self) -> bool:
        """See ``kernel.Connection``."""
        return False

    def forget_attributes(self, inode: int) -> None:
        """Have the kernel forget what it remembers of an inode."""
        pyfuse3.invalidate_inode(inode, attr_only=True)

    def close(self) -> None:
        """Unmount."""
        pyfuse3.close(unmount=True)


def _session_descriptor() -> int:
    """Return the binding's descriptor of the device; there is one mount in a process."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if link.readlink() == _DEVICE:
                return int(link.name)
    raise OSError(EINVAL, "the binding has not opened the device")


class _Handlers(pyfuse3.Operations):
    """The operations in the binding's words; what is missing here it answers ENOSYS."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(self, operations: PmxcfsOperations) -> None:
        super().__init__()
        self._operations = operations
        self._counts = operations.requests

    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """See ``PmxcfsOperations``, here and below."""
        return await self._entry("lookup", self._operations.lookup(parent_inode, name))

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        self._operations.forget(inode_list)

    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return await self._entry("getattr", self._operations.getattr(inode))

    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        wanted = Wanted(
            mode=attr.st_mode if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            size=attr.st_size if fields.update_size else None,
            atime_s=attr.st_atime_ns // NANOSECONDS if fields.update_atime else None,
            mtime_s=attr.st_mtime_ns // NANOSECONDS if fields.update_mtime else None,
        )
        return await self._entry("setattr", self._operations.setattr(inode, wanted))

    async def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        return await self._counted("readlink", self._operations.readlink(inode))

    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        said = await self._counted("statfs", self._operations.statfs())
        numbers = pyfuse3.StatvfsData()
        numbers.f_bsize = numbers.f_frsize = BLOCK_SIZE_BYTES
        numbers.f_blocks, numbers.f_bfree = said.blocks, said.blocks_free
        numbers.f_bavail = said.blocks_free
        numbers.f_files, numbers.f_ffree, numbers.f_favail = (
            said.inodes,
            said.inodes_free,
            said.inodes_free,
        )
        numbers.f_namemax = NAME_BYTES_MAX
        return numbers

    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        return await self._counted("opendir", self._operations.opendir(inode))

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        def add(name: bytes, stat: Stat, position: int) -> bool:
            return pyfuse3.readdir_reply(token, name, _attributes(stat), position)

        await self._counted("readdir", self._operations.readdir(fh, start_id, add))

    async def releasedir(self, fh: int) -> None:
        await self._counted("releasedir", self._operations.releasedir(fh))

    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return await self._entry("mkdir", self._operations.mkdir(parent_inode, name, mode))

    async def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._counted("rmdir", self._operations.rmdir(parent_inode, name))

    async def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._counted("unlink", self._operations.unlink(parent_inode, name))

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        done = self._operations.rename(
            parent_inode_old, name_old, parent_inode_new, name_new, flags
        )
        await self._counted("rename", done)

    async def mknod(
        self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return await self._entry("mknod", self._operations.mknod(parent_inode, name, mode))

    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        made = self._operations.create(parent_inode, name, mode, flags)
        attributes = await self._entry("create", made)
        return _opened(attributes.st_ino), attributes

    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        return _opened(await self._counted("open", self._operations.open(inode, flags)))

    async def release(self, fh: int) -> None:
        await self._counted("release", self._operations.release(fh))

    async def read(self, fh: int, off: int, size: int) -> bytes:
        return await self._counted("read", self._operations.read(fh, off, size))

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        return await self._counted("write", self._operations.write(fh, off, buf))

    async def fsync(self, fh: int, datasync: bool) -> None:
        await self._counted("fsync", self._operations.fsync(fh))

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        await self._counted("fsyncdir", self._operations.fsyncdir(fh))

    async def _entry(
        self, name: str, handler: Coroutine[Any, Any, Stat]
    ) -> pyfuse3.EntryAttributes:
        return _attributes(await self._counted(name, handler))

    async def _counted(self, name: str, handler: Coroutine[Any, Any, R]) -> R:
        """Run and count a request.

        Raises:
            FUSEError: what its caller is answered. An error that is no OperationError is a defect
                of ours; it costs this caller an EIO, and the binding would end the mount for it.
        """
        began_ns, errno = perf_counter_ns(), 0
        try:
            return await handler
        except OperationError as error:
            errno = error.errno
            raise pyfuse3.FUSEError(errno) from None
        except Exception as error:
            errno = EIO
            log.exception("a request of the kernel failed", request=name)
            raise pyfuse3.FUSEError(errno) from error
        finally:
            self._counts.note(name, perf_counter_ns() - began_ns, errno)


def _attributes(stat: Stat) -> pyfuse3.EntryAttributes:
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino, attributes.generation = stat.st_ino, stat.generation
    attributes.st_mode, attributes.st_nlink = stat.st_mode, stat.st_nlink
    attributes.st_uid, attributes.st_gid = stat.st_uid, stat.st_gid
    attributes.st_size, attributes.st_blocks = stat.st_size, stat.st_blocks
    attributes.st_mtime_ns = stat.st_mtime_ns
    attributes.st_atime_ns = attributes.st_ctime_ns = stat.st_atime_ns
    attributes.attr_timeout, attributes.entry_timeout = CACHE_S, stat.entry_timeout
    return attributes


def _opened(handle: int) -> pyfuse3.FileInfo:
    return pyfuse3.FileInfo(fh=handle, direct_io=False, keep_cache=True)
