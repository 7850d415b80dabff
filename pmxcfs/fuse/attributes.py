"""What stat says about entries of the tree and virtual objects.

Source: docs/PROTOCOL.md, "Modes".
"""

import stat
from collections.abc import Callable

from pmxcfs.driver import Driver
from pmxcfs.fuse.inodes import VirtualInode, kernel_inode
from pmxcfs.fuse.permissions import (
    OWNER_UID,
    ROOT_PERMISSIONS,
    link_permissions,
    permissions_of,
)
from pmxcfs.fuse.stamps import Stamps
from pmxcfs.fuse.virtual_files import VirtualFile
from pmxcfs.memdb.entry import ROOT_INODE, Entry, Inode
from pmxcfs.values import value

CACHE_S = 1.0
"""How long the kernel may answer from its memory of names and attributes."""

NANOSECONDS = 1_000_000_000
BLOCK_SIZE_BYTES = 4096
NAME_BYTES_MAX = 256


class Stat:
    """What stat says. Sizes are in bytes, times in nanoseconds since 1970.

    Attributes:
        generation: tells apart what one number has meant, one after the other.
        entry_timeout: how many seconds the kernel may take the name for what it stands for.
        listed: this as part of a listing, with name and position, once it was listed.
    """

    def __init__(self, number: int, generation: int, mode: int, gid: int) -> None:
        self.st_ino = number
        self.generation = generation
        self.st_mode = mode
        self.st_nlink = 1
        self.st_uid = OWNER_UID
        self.st_gid = gid
        self.st_size = 0
        self.st_blocks = 0
        self.st_mtime_ns = 0
        self.entry_timeout = CACHE_S
        self.listed: bytes | None = None

    @property
    def st_atime_ns(self) -> int:
        """The time of the last change, in whole seconds; so is ``st_ctime_ns``."""
        return self.st_mtime_ns // NANOSECONDS * NANOSECONDS


@value(frozen=True, slots=True)
class StatVfs:
    """What statvfs says, in blocks of ``BLOCK_SIZE_BYTES``."""

    blocks: int
    blocks_free: int
    inodes: int
    inodes_free: int


_FILESYSTEM_BLOCKS = 32768
_FILESYSTEM_INODES = 262144
_WRAP = 2**64


class Attributes:
    """Makes stat results, and keeps those of entries as long as they stay true.

    An entry never changes; a changed entry is another object. So a result is good for as long as
    the tree has the very entry that it was made from, at the same place and under the same quorum.
    The place is part of the entry, and only empty directories can be moved.

    Args:
        driver: tells whether the cluster is quorate.
        gid: the group that owns everything.
        generation: returns what tells apart what a number of the kernel's has meant.
    """

    def __init__(
        self, driver: Driver, gid: int, generation: Callable[[int], int] = lambda number: 0
    ) -> None:
        self._driver = driver
        self._gid = gid
        self._generation = generation
        self._stamps = Stamps()
        self._kept: dict[Inode, tuple[Entry, Stat]] = {}
        self._kept_under_quorum = False

    def of(self, item: Entry | VirtualInode) -> Stat:
        """Return the attributes of what can be looked up; the caller must not change them."""
        if isinstance(item, VirtualInode):
            return self._of_virtual(item)
        is_quorate = self._driver.replica.is_quorate
        if is_quorate is not self._kept_under_quorum:
            self._kept.clear()
            self._kept_under_quorum = is_quorate
        kept = self._kept.get(item.inode)
        if kept is not None and kept[0] is item:
            return kept[1]
        attributes = self._of_root() if item.inode == ROOT_INODE else self._of_entry(item)
        self._kept[item.inode] = (item, attributes)
        return attributes

    def of_orphan(self, entry: Entry) -> Stat:
        """Return the attributes of a file that is open and has no name any more."""
        is_quorate = self._driver.replica.is_quorate
        permissions = permissions_of(entry.name, entry.type, is_quorate=is_quorate)
        attributes = self._stamped(entry, permissions)
        attributes.st_nlink = 0
        return attributes

    def of_filesystem(self) -> StatVfs:
        """Return what statvfs says; beyond the limits the free counts wrap around.

        Source: docs/PROTOCOL.md, "Entries".
        """
        tree = self._driver.replica.memdb.tree
        used_blocks = -(-tree.content_size_bytes // BLOCK_SIZE_BYTES)
        return StatVfs(
            _FILESYSTEM_BLOCKS,
            (_FILESYSTEM_BLOCKS - used_blocks) % _WRAP,
            _FILESYSTEM_INODES,
            (_FILESYSTEM_INODES - len(tree)) % _WRAP,
        )

    def renew(self, inode: Inode) -> None:
        """From now on tell the kernel that what it remembers of an entry's content is old.

        What a directory lists is its content.
        """
        self._kept.pop(inode, None)
        self._stamps.renew(inode)

    def renew_all(self) -> None:
        """Do so for every entry."""
        self._kept.clear()
        self._stamps.renew_all()

    def drop(self, inode: Inode) -> None:
        """Let go of what was made for an entry; the kernel no longer knows it."""
        self._kept.pop(inode, None)
        self._stamps.drop(inode)

    def _of_root(self) -> Stat:
        attributes = self._blank(kernel_inode(ROOT_INODE), stat.S_IFDIR | ROOT_PERMISSIONS)
        attributes.st_nlink = 2
        return attributes

    def _of_entry(self, entry: Entry) -> Stat:
        path = self._driver.replica.memdb.tree.path_of(entry.inode)
        permissions = permissions_of(path, entry.type, is_quorate=self._kept_under_quorum)
        return self._stamped(entry, permissions)

    def _of_virtual(self, virtual: VirtualInode) -> Stat:
        """A status file's name must be looked up every time: it may have a new text by then."""
        is_quorate = self._driver.replica.is_quorate
        if isinstance(virtual.object, VirtualFile):
            mode, name_cache_s = stat.S_IFREG | virtual.object.mode, 0.0
        else:
            mode, name_cache_s = stat.S_IFLNK | link_permissions(is_quorate=is_quorate), CACHE_S
        attributes = self._blank(virtual.number, mode)
        attributes.entry_timeout = name_cache_s
        attributes.st_size = len(virtual.text)
        return attributes

    def _stamped(self, entry: Entry, permissions: int) -> Stat:
        kind = stat.S_IFDIR if entry.is_directory else stat.S_IFREG
        attributes = self._blank(kernel_inode(entry.inode), kind | permissions)
        if entry.is_directory:
            attributes.st_nlink = 2
        attributes.st_size = entry.size
        attributes.st_blocks = -(-entry.size // BLOCK_SIZE_BYTES)
        nanoseconds = self._stamps.nanoseconds(entry.inode, entry.mtime)
        attributes.st_mtime_ns = entry.mtime * NANOSECONDS + nanoseconds
        return attributes

    def _blank(self, number: int, mode: int) -> Stat:
        return Stat(number, self._generation(number), mode, self._gid)
