"""The requests of the kernel, answered from the tree, the virtual objects and the open files.

Every request names its object by inode; a file's handle is its inode too. Requests that are
missing here are answered ENOSYS by the binding, and the kernel draws the right conclusion and does
not ask again: flush and access succeed, links and devices cannot be made, extended attributes are
not supported. What a request raises is its answer, if it is an OperationError; the binding counts.
"""

import stat
import time
from collections.abc import Callable, Sequence
from errno import EACCES, EFBIG, EINVAL, EIO, ENOSYS
from os import O_DSYNC, O_TRUNC

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse import permissions
from pmxcfs.fuse.attributes import Attributes, Stat, StatVfs
from pmxcfs.fuse.changes import Changes
from pmxcfs.fuse.inodes import KERNEL_ROOT, VirtualInodes, is_virtual, kernel_inode, tree_inode
from pmxcfs.fuse.invalidation import MountCache
from pmxcfs.fuse.listings import Listings
from pmxcfs.fuse.lookups import Lookups
from pmxcfs.fuse.objects import Objects
from pmxcfs.fuse.open_files import OpenFiles, content_of
from pmxcfs.fuse.virtual_files import VirtualFile, VirtualObject
from pmxcfs.memdb.entry import Entry, EntryType, Inode
from pmxcfs.tallies import Requests
from pmxcfs.values import value


@value(frozen=True, slots=True)
class Wanted:
    """What a request wants to set; None for what it leaves as it is."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_s: int | None = None
    mtime_s: int | None = None


class PmxcfsOperations:
    """The file system, as one object with a coroutine for each kind of request.

    Args:
        driver: reads go to its tree, changes go through it.
        virtual: what stands at the root beside the tree, in the order of listings.
        gid: the group that owns everything.

    Attributes:
        cache: what has to hear of every change; the driver knows it.
        requests: counts of what was asked for.
    """

    def __init__(self, driver: Driver, virtual: Sequence[VirtualObject], *, gid: int) -> None:
        self.requests = Requests()
        self._driver = driver
        self._gid = gid
        self._open_files = OpenFiles()
        lookups = Lookups()
        self._attributes = Attributes(driver, gid, lookups.generation)
        virtual_inodes = VirtualInodes(virtual)
        self._listings = Listings(virtual_inodes)
        self._objects = Objects(
            driver, self._open_files, self._attributes, lookups, virtual_inodes, self._listings
        )
        self._changes = Changes(
            driver,
            self._open_files,
            self._objects.live,
            lambda: self.cache.last_made,
            lambda inode: lookups.generation(kernel_inode(inode)),
        )
        find = self._objects.in_tree
        self.cache = MountCache(find, self._open_files, lookups, self._attributes, self._listings)
        driver.attach_cache(self.cache)

    @property
    def opens_are_silent(self) -> bool:
        """Whether files are opened and closed without a request."""
        return self._open_files.takes_known_for_open

    def silence_opens(self, are_silent: bool) -> None:
        """Take every file that the kernel knows for open: it does not tell.

        It must be certain that no name leads to a file that is gone.
        """
        self._open_files.takes_known_for_open = are_silent

    # Names and attributes

    async def lookup(self, parent_inode: int, name: bytes) -> Stat:
        """Find a name in a directory."""
        return self._objects.child(parent_inode, name)

    def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Hear which inodes the kernel no longer knows."""
        self._objects.take_back(inode_list)

    async def getattr(self, inode: int) -> Stat:
        """Return the attributes of an inode."""
        return self._objects.attributes(inode)

    async def setattr(self, inode: int, wanted: Wanted) -> Stat:
        """Change size and time stamps; modes and owners can only be set to what they are.

        The time stamps count only if both are set; the access time is then ignored.
        """
        if wanted.mode is not None:
            permissions.check_chmod(self._objects.path(inode), stat.S_IMODE(wanted.mode))
        if wanted.uid is not None or wanted.gid is not None:
            permissions.check_chown(wanted.uid, wanted.gid, owner_gid=self._gid)
        if wanted.size is not None:
            await self._truncate(inode, wanted.size)
        if wanted.atime_s is not None and wanted.mtime_s is not None:
            if is_virtual(inode) or inode == KERNEL_ROOT:
                raise OperationError(EACCES)
            with self.cache.changing_here(tree_inode(inode)):
                await self._changes.set_mtime(tree_inode(inode), wanted.mtime_s)
        return self._objects.attributes(inode)

    async def readlink(self, inode: int) -> bytes:
        """Return the target of a virtual link; there are no others."""
        return self._objects.virtual(inode).text

    async def statfs(self) -> StatVfs:
        """Return sizes, and the limits for changes made on this node."""
        return self._attributes.of_filesystem()

    # Directories

    async def opendir(self, inode: int) -> int:
        """Open a directory; one that has been removed reads as empty."""
        return self._listings.open(inode)

    def can_list_from_memory(self, inode: int) -> bool:
        """Whether the kernel may list a directory from its own memory; not the root.

        The root has virtual objects, which get other inodes without a change of the tree.
        """
        return inode != KERNEL_ROOT

    def remembers_names(self, inode: int) -> bool:
        """Whether the kernel still has the attributes that came with its last listing.

        When it has not, another listing brings them all, for less than it costs to ask for each.
        """
        return self._listings.is_fresh(inode, time.monotonic())

    async def readdir(
        self, fh: int, start_id: int, add: Callable[[bytes, Stat, int], bool]
    ) -> None:
        """List names with their attributes until one can't be added."""
        if start_id == 0:
            self._listings.begin(fh, time.monotonic())
        for item in self._objects.listed(fh, start_id):
            if not add(item.name, self._attributes.of(item.object), item.position):
                break
            if not item.is_dot:
                self._objects.note_known(item.object)

    async def releasedir(self, fh: int) -> None:
        """Close a directory."""
        self._listings.close(fh)

    async def mkdir(self, parent_inode: int, name: bytes, mode: int) -> Stat:
        """Make a directory; the mode follows from its path."""
        self._refuse_virtual(parent_inode, name)
        parent = tree_inode(parent_inode)
        with self.cache.changing_here(parent):
            entry = await self._changes.mkdir(parent, name)
        return self._objects.hand_out_made(entry, parent, name)

    async def rmdir(self, parent_inode: int, name: bytes) -> None:
        """Remove an empty directory."""
        await self._remove(parent_inode, name, EntryType.DIRECTORY)

    async def unlink(self, parent_inode: int, name: bytes) -> None:
        """Remove a file."""
        await self._remove(parent_inode, name, EntryType.FILE)

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
    ) -> None:
        """Move a file or an empty directory; exchanging, or not replacing, is not supported."""
        if flags:
            raise OperationError(EINVAL)
        self._refuse_virtual(parent_inode_old, name_old)
        self._refuse_virtual(parent_inode_new, name_new)
        old, new = tree_inode(parent_inode_old), tree_inode(parent_inode_new)
        moved = self._objects.inodes_at((old, name_old), (new, name_new))
        with self.cache.changing_here(old, new, *moved):
            await self._changes.rename(old, name_old, new, name_new)

    # Files

    async def mknod(self, parent_inode: int, name: bytes, mode: int) -> Stat:
        """Make a regular file; nothing else can be made."""
        if not stat.S_ISREG(mode):
            raise OperationError(ENOSYS)
        self._refuse_virtual(parent_inode, name)
        parent = tree_inode(parent_inode)
        return self._objects.hand_out_made(await self._create(parent, name), parent, name)

    async def create(self, parent_inode: int, name: bytes, mode: int, flags: int) -> Stat:
        """Make a file that did not exist, whatever the flags say, and open it."""
        self._refuse_virtual(parent_inode, name)
        parent = tree_inode(parent_inode)
        entry = await self._create(parent, name)
        attributes = self._objects.hand_out_made(entry, parent, name)
        if not self.opens_are_silent:
            self._open_files.open(entry, is_synchronous=bool(flags & O_DSYNC))
        return attributes

    async def open(self, inode: int, flags: int) -> int:
        """Open a file; return its handle. With O_TRUNC it is cut here: the kernel relies on that.

        The kernel may keep its pages over close and open; all writes come to us at once.
        """
        if flags & O_TRUNC:
            await self._truncate(inode, 0)
        if not is_virtual(inode):
            entry = self._objects.entry(inode)
            self._open_files.open(entry, is_synchronous=bool(flags & O_DSYNC))
        return inode

    async def release(self, fh: int) -> None:
        """Close a file."""
        if not is_virtual(fh) and not self.opens_are_silent:
            self._open_files.close(tree_inode(fh))

    async def read(self, fh: int, off: int, size: int) -> bytes:
        """Return what the file has at this offset, nothing at its end."""
        if is_virtual(fh):
            return self._objects.virtual(fh).text[off : off + size]
        return content_of(self._objects.entry(fh))[off : off + size]

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        """Put data into a file; return how much."""
        if not is_virtual(fh):
            count = await self._write(tree_inode(fh), off, buf)
            if self._open_files.is_synchronous(tree_inode(fh)):
                await self._driver.sync()
            return count
        file = self._objects.virtual(fh).object
        if off or not isinstance(file, VirtualFile) or file.write is None:
            raise OperationError(EIO)
        return file.write(buf)

    async def fsync(self, fh: int) -> None:
        """Return once what was written survives a loss of power on this node."""
        await self._driver.sync()

    async def fsyncdir(self, fh: int) -> None:
        """Return once what was made, moved and removed survives a loss of power on this node."""
        await self._driver.sync()

    def content(self, entry: Entry) -> bytes:
        """Return what a file reads as on this node, without waiting for anything."""
        return content_of(entry)

    def end_overdue(self) -> None:
        """Let go those callers who have waited for too long."""
        self._driver.end_overdue()

    def is_synchronous(self, number: int) -> bool:
        """Whether a write to this file has to be on the disk before it is answered."""
        return not is_virtual(number) and self._open_files.is_synchronous(tree_inode(number))

    async def _create(self, parent: Inode, name: bytes) -> Entry:
        with self.cache.changing_here(parent):
            return await self._changes.create(parent, name)

    async def _remove(self, parent: int, name: bytes, kind: EntryType) -> None:
        self._refuse_virtual(parent, name)
        directory = tree_inode(parent)
        with self.cache.changing_here(directory, *self._objects.inodes_at((directory, name))):
            await self._changes.remove(directory, name, kind)

    async def _write(self, inode: Inode, offset: int, data: bytes) -> int:
        """Write to the tree.

        The kernel has put the data into its pages already. Of a refused write it lets go by itself,
        unless it comes from a mapping; a mapping never reaches beyond the limit.
        """
        try:
            with self.cache.changing_here(inode):
                return await self._changes.write(inode, offset, data)
        except OperationError as refusal:
            if refusal.errno != EFBIG:
                self.cache.doubt(inode)
            raise

    async def _truncate(self, number: int, size: int) -> None:
        if not is_virtual(number):
            with self.cache.changing_here(tree_inode(number)):
                await self._changes.truncate(tree_inode(number), size)
            return
        file = self._objects.virtual(number).object
        if not isinstance(file, VirtualFile) or file.write is None:
            raise OperationError(EIO)

    def _refuse_virtual(self, parent: int, name: bytes) -> None:
        """Refuse to make, remove or move a virtual object, or to put anything in its place."""
        if self._objects.is_virtual_name(parent, name):
            raise OperationError(EACCES)
