"""The requests of the kernel where writes are gathered: who looks at a file waits for its writes.

Source: docs/GUARANTEES.md, "Gathered writes".
"""

from collections.abc import Callable, Sequence
from time import perf_counter_ns

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.attributes import Stat
from pmxcfs.fuse.gathered_writes import GatheredWrites
from pmxcfs.fuse.inodes import is_virtual, tree_inode
from pmxcfs.fuse.operations import PmxcfsOperations, Wanted
from pmxcfs.fuse.virtual_files import VirtualObject
from pmxcfs.memdb.entry import Entry, Inode

AddName = Callable[[bytes, Stat, int], bool]


class GatheringOperations(PmxcfsOperations):
    """The file system; its writes may be answered before they are made.

    Attributes:
        writes: those that are answered and not made yet.
    """

    writes: GatheredWrites

    def __init__(self, driver: Driver, virtual: Sequence[VirtualObject], *, gid: int) -> None:
        super().__init__(driver, virtual, gid=gid)
        self.writes = GatheredWrites(
            driver, self._changes.write, self._objects.live, self.cache.doubt
        )

    def has_taken(self, number: int, offset: int, data: bytes) -> bool:
        """Take a write that may be answered now; else it has to be made first.

        Raises:
            OperationError: it is known that it would be refused, or something before it was.
        """
        if is_virtual(number) or self.is_synchronous(number):
            return False
        began_ns = perf_counter_ns()
        try:
            is_taken = self.writes.has_taken(tree_inode(number), offset, data)
        except OperationError as refusal:
            self.requests.note("write", perf_counter_ns() - began_ns, refusal.errno)
            raise
        if is_taken:
            self.requests.note("write", perf_counter_ns() - began_ns, 0)
        return is_taken

    # What looks at a file

    async def lookup(self, parent_inode: int, name: bytes) -> Stat:
        """Find a name in a directory; what comes with it is the file's size."""
        await self._settle(*self._inodes_at(parent_inode, name))
        return await super().lookup(parent_inode, name)

    async def getattr(self, inode: int) -> Stat:
        """Return the attributes of an inode."""
        await self._settle(*_inodes(inode))
        return await super().getattr(inode)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        """Return what the file has at this offset."""
        await self._settle(*_inodes(fh))
        return await super().read(fh, off, size)

    def content(self, entry: Entry) -> bytes:
        """Return what a file reads as on this node, without waiting for anything."""
        return self.writes.laid_over(entry.inode, super().content(entry))

    async def readdir(self, fh: int, start_id: int, add: AddName) -> None:
        """List names with their attributes."""
        if self.writes:
            await self._settle(*self.writes.inodes)
        await super().readdir(fh, start_id, add)

    # What changes a file, or asks how its writes went

    async def setattr(self, inode: int, wanted: Wanted) -> Stat:
        """Cut or extend a file, or set its time."""
        await self._settle(*_inodes(inode), fails=True)
        return await super().setattr(inode, wanted)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        """Put data into a file and return once it is there."""
        await self._settle(*_inodes(fh), fails=True)
        return await super().write(fh, off, buf)

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
    ) -> None:
        """Move a file, or refuse it because something that was written to it has failed."""
        await self._settle(*self._inodes_at(parent_inode_new, name_new))
        await self._settle(*self._inodes_at(parent_inode_old, name_old), fails=True)
        await super().rename(parent_inode_old, name_old, parent_inode_new, name_new, flags)

    async def unlink(self, parent_inode: int, name: bytes) -> None:
        """Remove a file."""
        await self._settle(*self._inodes_at(parent_inode, name))
        await super().unlink(parent_inode, name)

    async def flush(self, fh: int) -> None:
        """Return once all that was written to a file that is being closed is there."""
        await self._settle(*_inodes(fh), fails=True)

    async def fsync(self, fh: int) -> None:
        """Return once what was written, to any file, survives a loss of power."""
        await self._settle(*self.writes.inodes)
        await self._settle(*_inodes(fh), fails=True)
        await super().fsync(fh)

    async def fsyncdir(self, fh: int) -> None:
        """Return once what was made, moved, removed and written survives a loss of power."""
        await self._settle(*self.writes.inodes)
        await super().fsyncdir(fh)

    async def _settle(self, *inodes: Inode, fails: bool = False) -> None:
        """Wait for the writes to files; and, if asked for, fail with what became of them."""
        await self.writes.settle(*inodes)
        if fails:
            for inode in inodes:
                self.writes.raise_failure(inode)

    def _inodes_at(self, parent: int, name: bytes) -> Sequence[Inode]:
        if not self.writes or is_virtual(parent):
            return ()
        return self._objects.inodes_at((tree_inode(parent), name))


def _inodes(number: int) -> tuple[Inode, ...]:
    return () if is_virtual(number) else (tree_inode(number),)
