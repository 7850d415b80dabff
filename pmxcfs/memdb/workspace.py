"""What one operation works with: the state it may look at, and the changes it makes."""

from dataclasses import dataclass, field
from errno import EACCES, ENOENT, ENOTDIR

from pmxcfs.errors import OperationError
from pmxcfs.memdb.counters import ChangeCounters
from pmxcfs.memdb.entry import Change, Entry, Inode
from pmxcfs.memdb.guests import GuestList
from pmxcfs.memdb.locks import LockTable
from pmxcfs.memdb.paths import split
from pmxcfs.memdb.tree import Tree


@dataclass(slots=True)
class Workspace:
    """The state of a Memdb while one operation is applied, and a record of what it changed.

    ``writer`` and ``time`` are stamped on every entry that ``put`` stores and, by ``finish``, on
    the root; all get the same new version. ``now_s`` is our own clock, for locks.

    Source: docs/PROTOCOL.md, "Operations".
    """

    tree: Tree
    guests: GuestList
    locks: LockTable
    counters: ChangeCounters
    writer: int
    time: int
    now_s: int
    changes: list[Change] = field(default_factory=list)

    @property
    def next_version(self) -> int:
        """The version that this operation brings the tree to."""
        return self.tree.root.version + 1

    def existing(self, path: bytes) -> Entry:
        """Return the entry at a path.

        Raises:
            OperationError: ENOENT.
        """
        entry = self.tree.find(path)
        if entry is None:
            raise OperationError(ENOENT)
        return entry

    def directory_of(self, path: bytes) -> Entry:
        """Return the directory that holds, or would hold, the last component of a path.

        Raises:
            OperationError: ENOENT, or ENOTDIR.
        """
        entry = self.existing(split(path)[0])
        if not entry.is_directory:
            raise OperationError(ENOTDIR)
        return entry

    def place_of(self, path: bytes) -> tuple[Inode, bytes]:
        """Return directory and name of a path that names an entry, existing or not.

        Raises:
            OperationError: ENOENT or ENOTDIR for the directory, EACCES if the last component is
                none that an entry could have.
        """
        directory = self.directory_of(path)
        name = split(path)[1]
        if name in (b"", b".", b".."):
            raise OperationError(EACCES)
        return directory.inode, name

    def put(self, entry: Entry) -> Entry:
        """Store an entry, new or changed, with this operation's stamp; return it as stored."""
        stamped = entry.stamped(self.next_version, self.writer, entry.mtime)
        self.changes.append(Change(self.tree.get(entry.inode), stamped))
        self.tree.put(stamped)
        return stamped

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        self.changes.append(Change(self.tree.remove(entry.inode), None))

    def finish(self, mtime: int) -> None:
        """Stamp the root, which ends every operation that changes anything."""
        root = self.tree.root
        stamped = root.stamped(self.next_version, self.writer, mtime)
        self.changes.append(Change(root, stamped))
        self.tree.put(stamped)
