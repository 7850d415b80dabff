"""What the mount asks of the tree, checked here before it is sent to all members.

Requests name entries by inode; the path, which is what the members understand, is made at the
moment of sending. Whatever would bring out a weakness of a member's tree is refused or rephrased
here, because all members apply the same messages in the same way.
"""

from collections.abc import Callable
from errno import (
    EACCES,
    EFBIG,
    EINVAL,
    EISDIR,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    ESTALE,
)

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.open_files import OpenFiles
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Entry, EntryType, Inode
from pmxcfs.memdb.guests import parse_guest_path
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.paths import is_lock_path
from pmxcfs.memdb.tree import Tree

NAME_BYTES_MAX = 1024
"""What every kernel's FUSE takes; newer ones take more, and older ones answer EIO to a listing."""


class Changes:
    """The changing requests of the mount. All inodes are the tree's.

    Every method raises OperationError: EACCES without quorum, else the verdict of the members.

    Args:
        driver: takes them.
        open_files: of this mount.
        live: returns the entry of an inode, unless the kernel takes it for another.
        last_made: returns what somebody on this node has made last, as it was made.
        generation: returns what tells apart what an inode has meant.
    """

    def __init__(
        self,
        driver: Driver,
        open_files: OpenFiles,
        live: Callable[[Inode], Entry | None],
        last_made: Callable[[], Entry | None],
        generation: Callable[[Inode], int],
    ) -> None:
        self._driver = driver
        self._open_files = open_files
        self._live = live
        self._last_made = last_made
        self._generation = generation

    async def create(self, parent: Inode, name: bytes) -> Entry:
        """Make an empty file that must not exist yet; others may have moved or removed it since."""
        self._require_quorum()
        await self._driver.submit(Create(self._new_path(parent, name)))
        return self._made(parent, name)

    async def mkdir(self, parent: Inode, name: bytes) -> Entry:
        """Make a directory that must not exist yet; others may have moved or removed it since."""
        self._require_quorum()
        path = self._new_path(parent, name)
        _check_place_of_directory(path)
        await self._driver.submit(Mkdir(path))
        return self._made(parent, name)

    async def remove(self, parent: Inode, name: bytes, kind: EntryType) -> None:
        """Remove an entry, but only if it still is of this kind: the members do not look."""
        self._require_quorum()
        entry = self._tree.child(parent, name)
        if entry is not None:
            _check_kind(entry, kind)
        await self._driver.submit(Delete(self._path(parent, name)))

    async def rename(self, parent: Inode, name: bytes, to: Inode, new_name: bytes) -> None:
        """Move a file or an empty directory, replacing what is at the target."""
        self._require_quorum()
        path, target_path = self._path(parent, name), self._new_path(to, new_name)
        source, target = self._tree.child(parent, name), self._tree.child(to, new_name)
        if source is not None:
            if target is not None:
                if target.inode == source.inode:
                    return
                _check_kind(target, source.type)
            self._check_movable(source, path)
            if source.is_directory:
                _check_place_of_directory(target_path)
        await self._driver.submit(Rename(path, target_path))

    async def write(self, inode: Inode, offset: int, data: bytes) -> int:
        """Put data at an offset; return how many bytes were written, which is all of them."""
        if self._live(inode) is None:
            return self._open_files.write_orphan(inode, offset, data)
        self._require_quorum()
        _check_size(offset + len(data))
        try:
            return await self._submit_for(inode, lambda path: Write(path, offset, data))
        except OperationError:
            if self._live(inode) is not None:
                raise
            return self._open_files.write_orphan(inode, offset, data)

    async def truncate(self, inode: Inode, size: int) -> None:
        """Make a file this long.

        A file without data grows by a write of zeros: by a truncation it would get a size and no
        data, and a reference node that reads such a file crashes.
        """
        entry = self._live(inode)
        if entry is None:
            self._open_files.truncate_orphan(inode, size)
            return
        self._require_quorum()
        _check_size(size)
        offset, data = (0, bytes(size)) if size and not entry.data else (size, b"")
        await self._submit_for(inode, lambda path: Write(path, offset, data, truncate=True))

    async def set_mtime(self, inode: Inode, mtime: int) -> None:
        """Set the modification time: seconds, of which 32 bits are kept."""
        mtime &= 0xFFFFFFFF
        if self._live(inode) is None:
            self._open_files.touch_orphan(inode, mtime)
            return
        self._require_quorum()
        await self._driver.submit(SetMtime(self._tree.path_of(inode), mtime))

    async def _submit_for(self, inode: Inode, operation: Callable[[bytes], Operation]) -> int:
        """Ask for a change of what is at a path; again if others moved it before that was decided.

        ENOENT is the members' verdict, so the first attempt is surely not done.
        """
        generation = self._generation(inode)
        while True:
            path = self._tree.path_of(inode)
            try:
                return await self._driver.submit(operation(path))
            except OperationError as error:
                is_same = self._generation(inode) == generation
                is_there = is_same and self._live(inode) is not None
                if error.errno != ENOENT or not is_there or self._tree.path_of(inode) == path:
                    raise

    @property
    def _tree(self) -> Tree:
        return self._driver.replica.memdb.tree

    def _require_quorum(self) -> None:
        if not self._driver.replica.is_quorate:
            raise OperationError(EACCES)

    def _path(self, parent: Inode, name: bytes) -> bytes:
        if self._live(parent) is None:
            raise OperationError(ESTALE)  # the kernel looks the path up again
        directory = self._tree.path_of(parent)
        return directory + b"/" + name if directory else name

    def _new_path(self, parent: Inode, name: bytes) -> bytes:
        """Refuse names that the kernel below another member could not list."""
        if len(name) > NAME_BYTES_MAX:
            raise OperationError(ENAMETOOLONG)
        return self._path(parent, name)

    def _made(self, parent: Inode, name: bytes) -> Entry:
        entry = self._tree.child(parent, name)
        if entry is not None:
            return entry
        # Another member has moved or removed it in the meantime, and yet it was made.
        made = self._last_made()
        if made is None or (made.parent, made.name) != (parent, name):
            raise OperationError(ENOENT)
        return self._tree.get(made.inode) or made

    def _check_movable(self, source: Entry, path: bytes) -> None:
        """Refuse to move a directory that has children: the members forget the target first."""
        if not source.is_directory or not self._tree.has_children(source.inode):
            return
        raise OperationError(EACCES if is_lock_path(path) else ENOTEMPTY)


def _check_kind(entry: Entry, kind: EntryType) -> None:
    if entry.type is not kind:
        raise OperationError(EISDIR if entry.is_directory else ENOTDIR)


def _check_place_of_directory(path: bytes) -> None:
    """Keep directories away from the places of guest configurations.

    All members strike a guest off the list when whatever is there is removed, whichever node the
    guest is on; then its VM id can be given out a second time.
    """
    if parse_guest_path(path) is not None:
        raise OperationError(EINVAL)


def _check_size(size_bytes: int) -> None:
    """Refuse what is too large; in a message an offset has 32 bits and would wrap around."""
    if size_bytes > FILE_SIZE_BYTES_MAX:
        raise OperationError(EFBIG)
