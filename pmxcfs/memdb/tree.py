"""The configuration tree: every entry by inode, and who is whose child."""

from collections.abc import Iterable, Iterator, Sequence

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, EntryType, Inode, merged
from pmxcfs.memdb.paths import components

_VERSION_MAX = 2**63 - 1  # SQLite's largest integer; leaves no room for the counter to wrap


class Tree:
    """All entries of the configuration tree, the root included.

    No operation walks the tree, except where its text says so. A Tree knows nothing of versions,
    rights or rules: ``put`` and ``remove`` do what they are told.

    Attributes:
        content_size_bytes: the sum of the sizes of all files.
        digest_of: the index digests computed so far, kept here by ``memdb.index`` and dropped
            as soon as their entry changes.
        checksum: the whole-tree checksum if it has been computed since the last change, kept here
            by ``memdb.index``.
    """

    def __init__(self, root: Entry) -> None:
        self._entries: dict[Inode, Entry] = {ROOT_INODE: root}
        self._children: dict[Inode, dict[bytes, Inode]] = {}
        self.content_size_bytes = 0
        self.digest_of: dict[Inode, bytes] = {}
        self.checksum: bytes | None = None

    @classmethod
    def new(cls) -> "Tree":
        """Return the tree of a fresh database: version 1, nothing but the root, its mtime 0.

        Source: docs/PROTOCOL.md, "Database".
        """
        return cls(Entry(ROOT_INODE, ROOT_INODE, 1, 0, 0, EntryType.DIRECTORY, b""))

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> "Tree":
        """Build a tree from all its entries, in any order; the root has an empty name.

        Raises:
            StorageError: the entries do not form one sound tree; the sentence says which and why.

        Source: docs/PROTOCOL.md, "Database".
        """
        by_inode: dict[Inode, Entry] = {}
        for entry in entries:
            if entry.inode in by_inode:
                raise StorageError(f"inode {entry.inode} appears twice")
            by_inode[entry.inode] = entry
        root = by_inode.pop(ROOT_INODE, None)
        if root is None:
            raise StorageError("the root (inode 0) is missing")
        _check_root(root)
        tree = cls(root)
        for entry in by_inode.values():
            _check_entry(entry, root)
            if (twin := tree.child(entry.parent, entry.name)) is not None:
                raise StorageError(f"{_called(twin)} and {_called(entry)} have the same place")
            tree.put(entry)
        tree._check_parents()
        return tree

    def __len__(self) -> int:
        """Return the number of entries, the root included."""
        return len(self._entries)

    @property
    def root(self) -> Entry:
        """The root; its version, writer and mtime are those of the last change to the tree."""
        return self._entries[ROOT_INODE]

    def get(self, inode: Inode) -> Entry | None:
        """Return the entry with this inode number."""
        return self._entries.get(inode)

    def child(self, parent: Inode, name: bytes) -> Entry | None:
        """Return the entry of this name in a directory."""
        inode = self._children.get(parent, {}).get(name)
        return None if inode is None else self._entries[inode]

    def children(self, inode: Inode) -> list[Entry]:
        """Return a snapshot of what is in a directory, in no particular order."""
        return [self._entries[child] for child in self._children.get(inode, {}).values()]

    def has_children(self, inode: Inode) -> bool:
        """Whether there is anything in this directory."""
        return inode in self._children

    def find(self, path: bytes) -> Entry | None:
        """Return the entry at a path; the empty path is the root."""
        inode = ROOT_INODE
        for name in components(path):
            names = self._children.get(inode)
            if names is None or name not in names:
                return None
            inode = names[name]
        return self._entries[inode]

    def path_of(self, inode: Inode) -> bytes:
        """Return the path of an entry, without a leading slash.

        Raises:
            KeyError: there is no such inode.
        """
        names = []
        while inode != ROOT_INODE:
            entry = self._entries[inode]
            names.append(entry.name)
            inode = entry.parent
        return b"/".join(reversed(names))

    def entries(self) -> Iterator[Entry]:
        """Yield every entry by ascending inode, the root first. Walks the tree."""
        for inode in sorted(self._entries):
            yield self._entries[inode]

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one that has its inode number.

        The caller has made sure that no other entry has this place.
        """
        before = self._entries.get(entry.inode)
        if before is not None:
            self._forget(before)
            if (before.parent, before.name) != (entry.parent, entry.name):
                self._unlink(before)
                before = None
        if before is None:
            self._children.setdefault(entry.parent, {})[entry.name] = entry.inode
        self._entries[entry.inode] = entry
        self.content_size_bytes += entry.size
        self.checksum = None

    def remove(self, inode: Inode) -> Entry:
        """Take out an entry that has no children, and return it.

        Raises:
            KeyError: there is no such inode.
        """
        entry = self._entries[inode]
        self._forget(entry)
        self._unlink(entry)
        del self._entries[inode]
        self.checksum = None
        return entry

    def revert(self, changes: Sequence[Change]) -> None:
        """Undo changes, given in the order in which they were made."""
        self.redo([Change(change.after, change.before) for change in merged(changes)])

    def redo(self, changes: Sequence[Change]) -> None:
        """Do changes again that were undone, given in the order in which they were made.

        All old places are left before the first new one is taken, since entries that a
        synchronisation changed may have taken each other's.
        """
        net = list(merged(changes))
        for change in net:
            if change.before is not None and change.inode != ROOT_INODE:
                self.remove(change.inode)
        for change in net:
            if change.after is not None:
                self.put(change.after)

    def _forget(self, entry: Entry) -> None:
        self.content_size_bytes -= entry.size
        self.digest_of.pop(entry.inode, None)

    def _unlink(self, entry: Entry) -> None:
        siblings = self._children[entry.parent]
        del siblings[entry.name]
        if not siblings:
            del self._children[entry.parent]

    def _check_parents(self) -> None:
        """Raise StorageError unless every entry hangs below the root. Walks the tree."""
        for parent, names in self._children.items():
            holder = self._entries.get(parent)
            if holder is not None and holder.is_directory:
                continue
            inode = next(iter(names.values()))
            what = "is missing" if holder is None else f"is a file: {_called(holder)}"
            raise StorageError(
                f"the parent of {_called(self._entries[inode])}, inode {parent}, {what}"
            )
        reached = {ROOT_INODE}
        waiting = [ROOT_INODE]
        while waiting:
            below = self._children.get(waiting.pop(), {}).values()
            reached.update(below)
            waiting.extend(below)
        for inode in sorted(self._entries.keys() - reached):
            raise StorageError(f"{_called(self._entries[inode])} is its own ancestor")


def _check_root(root: Entry) -> None:
    if not root.is_directory or root.parent != ROOT_INODE or root.name:
        raise StorageError(f"the root (inode 0) is not a root: {root}")
    if not 0 < root.version <= _VERSION_MAX:
        raise StorageError(f"the version of the tree is out of range: {root.version}")


def _check_entry(entry: Entry, root: Entry) -> None:
    if not entry.name:
        raise StorageError(f"inode {entry.inode} has no name")
    if b"/" in entry.name or b"\0" in entry.name:
        raise StorageError(f"{_called(entry)} has a slash or a NUL in its name")
    if entry.is_directory and (entry.data or entry.size):
        raise StorageError(f"{_called(entry)} is a directory and has content")
    if entry.inode > root.version:
        raise StorageError(
            f"{_called(entry)} has a number above the version of the tree, {root.version}"
        )


def _called(entry: Entry) -> str:
    """Return how an error names an entry."""
    return f"inode {entry.inode} ({entry.name.decode(errors='backslashreplace')!r})"
