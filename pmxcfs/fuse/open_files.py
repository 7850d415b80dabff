"""Files that are open on this node, and what becomes of them when their entry is removed.

An entry that is removed, by anybody on any node, stays readable and writable for those who have it
open here; its content then lives in this process alone and goes with the last handle. So that it
can still be opened by who has just found its name, it may be remembered for a little longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import EFBIG, ESTALE

from pmxcfs.errors import OperationError
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Change, Entry, Inode

REMOVED_MAX = 64
KNOWN_ORPHANS_BYTES_MAX = 64 * 2**20


@dataclass(slots=True)
class _OpenFile:
    handles: int
    entry: Entry
    is_synchronous: bool = False


class OpenFiles:
    """The open files of this mount by their inode in the tree, each with its latest entry.

    Attributes:
        remembers_removed: whether entries that were removed last can be opened. Without it a file
            that others replace all the time could not always be opened: the kernel looks for it
            again only once. It must be certain that no old name leads to them.
        takes_known_for_open: whether every file that the kernel knows may be open; then those that
            were removed last are kept until it forgets them, up to ``KNOWN_ORPHANS_BYTES_MAX``.
    """

    def __init__(self) -> None:
        self._files: dict[Inode, _OpenFile] = {}
        self._removed: dict[Inode, Entry] = {}
        self._known_orphans: dict[Inode, int] = {}
        self._known_orphans_bytes = 0
        self.remembers_removed = False
        self.takes_known_for_open = False

    def open(self, entry: Entry, *, is_synchronous: bool = False) -> None:
        """Count one more handle; if it writes synchronously, all of the file's do from now on."""
        file = self._files.setdefault(entry.inode, _OpenFile(0, entry))
        file.handles += 1
        file.is_synchronous |= is_synchronous

    def is_synchronous(self, inode: Inode) -> bool:
        """Whether a write to this file has to be on the disk before it is answered."""
        file = self._files.get(inode)
        return file is not None and file.is_synchronous

    def close(self, inode: Inode) -> None:
        """Count one handle less; with the last one an orphan's content is gone."""
        file = self._files[inode]
        file.handles -= 1
        if not file.handles:
            del self._files[inode]

    def know(self, entry: Entry) -> None:
        """Take a file for open until it is forgotten: the kernel may open it without telling."""
        if entry.inode not in self._files:
            self._files[entry.inode] = _OpenFile(1, entry)

    def forget(self, inode: Inode) -> None:
        """Let go of a file that was known; an orphan's content is gone."""
        self._files.pop(inode, None)
        self._known_orphans_bytes -= self._known_orphans.pop(inode, 0)

    def replace(self, entry: Entry) -> None:
        """Take an inode for another file; the kernel refuses who has the one before open."""
        self._known_orphans_bytes -= self._known_orphans.pop(entry.inode, 0)
        file = self._files.get(entry.inode)
        if file is not None:
            file.entry = entry

    def get(self, inode: Inode) -> Entry | None:
        """Return the latest entry of an open file; it is an orphan if the tree has it no more."""
        file = self._files.get(inode)
        return self._removed.get(inode) if file is None else file.entry

    def follow(self, changes: Sequence[Change]) -> None:
        """Keep up with the tree; a removed entry stays as it was last."""
        for change in changes:
            file = self._files.get(change.inode)
            if change.after is None:
                self._remember(change.before)
                if file is not None and self.takes_known_for_open:
                    self._bound_orphans(file.entry)
            elif file is not None:
                file.entry = change.after

    def follow_tree(self, find: Callable[[Inode], Entry | None]) -> None:
        """Keep up with a tree that was replaced as a whole.

        Args:
            find: returns what an inode still stands for.
        """
        for inode, file in self._files.items():
            entry = find(inode)
            if entry is not None and entry.type is file.entry.type:
                file.entry = entry

    def write_orphan(self, inode: Inode, offset: int, data: bytes) -> int:
        """Put data into an open file that has no entry any more; return its length.

        Raises:
            OperationError: EFBIG beyond the size limit, ESTALE if nobody has the file open.
        """
        end = offset + len(data)
        if end > FILE_SIZE_BYTES_MAX:
            raise OperationError(EFBIG)
        old = content_of(self._opened(inode).entry)
        self._keep(inode, old[:offset].ljust(offset, b"\0") + data + old[end:])
        return len(data)

    def truncate_orphan(self, inode: Inode, size: int) -> None:
        """Cut or extend an open file that has no entry any more.

        Raises:
            OperationError: EFBIG beyond the size limit, ESTALE if nobody has the file open.
        """
        if size > FILE_SIZE_BYTES_MAX:
            raise OperationError(EFBIG)
        self._keep(inode, content_of(self._opened(inode).entry)[:size].ljust(size, b"\0"))

    def touch_orphan(self, inode: Inode, mtime: int) -> None:
        """Set the modification time of an open file that has no entry any more.

        Raises:
            OperationError: ESTALE if nobody has the file open.
        """
        file = self._opened(inode)
        file.entry = file.entry.touched(mtime)

    def _remember(self, removed: Entry | None) -> None:
        if removed is None or not self.remembers_removed:
            return
        self._removed[removed.inode] = removed
        if len(self._removed) > REMOVED_MAX:
            del self._removed[next(iter(self._removed))]

    def _bound_orphans(self, removed: Entry) -> None:
        """Keep those that were removed last: the kernel may know a file for ever, open or not."""
        self._known_orphans[removed.inode] = removed.size
        self._known_orphans_bytes += removed.size
        while self._known_orphans_bytes > KNOWN_ORPHANS_BYTES_MAX:
            self.forget(next(iter(self._known_orphans)))

    def _opened(self, inode: Inode) -> _OpenFile:
        """Return a file that is open; one that is only remembered can be read, not changed."""
        file = self._files.get(inode)
        if file is None:
            raise OperationError(ESTALE)
        return file

    def _keep(self, inode: Inode, data: bytes) -> None:
        file = self._opened(inode)
        file.entry = file.entry.rewritten(data, len(data), file.entry.mtime)


def content_of(entry: Entry) -> bytes:
    """Return what a file reads as: its data, or zeros where it has a size and no data."""
    return entry.data or bytes(entry.size)
