"""One entry of the tree, and one change to it."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NewType

from pmxcfs.values import value

Inode = NewType("Inode", int)
"""An inode number: the tree's version at the entry's creation; 0 is the root. Unsigned 64-bit."""

ROOT_INODE = Inode(0)

FILE_SIZE_BYTES_MAX = 1024 * 1024


class EntryType(IntEnum):
    """What an entry can be, with the numbers of the database and the wire (Linux ``d_type``)."""

    DIRECTORY = 4
    FILE = 8


@value(frozen=True, slots=True)
class Entry:
    """A file or a directory. The root has inode 0, parent 0 and an empty name.

    ``size`` is the length of ``data`` in bytes, save for one case that a reference node can bring
    about: a file whose empty content was extended by a truncation has a size and no data; it reads
    as zeros. Directories have size 0 and no data. ``mtime`` counts seconds; ``mtime`` and
    ``writer`` are unsigned 32-bit, ``version`` is unsigned 64-bit.

    Source: docs/PROTOCOL.md, "Entries".
    """

    inode: Inode
    parent: Inode
    version: int
    writer: int
    mtime: int
    type: EntryType
    name: bytes
    size: int = 0
    data: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether the entry can have children."""
        return self.type is EntryType.DIRECTORY

    # Each is part of every change; ``dataclasses.replace`` would be slower, and is never compiled.

    def stamped(self, version: int, writer: int, mtime: int) -> "Entry":
        """Return this entry as a change leaves it."""
        return Entry(
            self.inode,
            self.parent,
            version,
            writer,
            mtime,
            self.type,
            self.name,
            self.size,
            self.data,
        )

    def touched(self, mtime: int) -> "Entry":
        """Return this entry with another modification time."""
        return self.stamped(self.version, self.writer, mtime)

    def rewritten(self, data: bytes, size: int, mtime: int) -> "Entry":
        """Return this file with another content."""
        return Entry(
            self.inode,
            self.parent,
            self.version,
            self.writer,
            mtime,
            self.type,
            self.name,
            size,
            data,
        )

    def moved(self, parent: Inode, name: bytes, mtime: int) -> "Entry":
        """Return this entry at another place."""
        return Entry(
            self.inode,
            parent,
            self.version,
            self.writer,
            mtime,
            self.type,
            name,
            self.size,
            self.data,
        )


@value(frozen=True, slots=True)
class Change:
    """What became of one inode: ``before`` is None for a new entry, ``after`` for a removed one.

    The root takes part like any other entry, because each change stamps it.
    """

    before: Entry | None
    after: Entry | None

    @property
    def inode(self) -> Inode:
        """The inode that changed."""
        if self.after is not None:
            return self.after.inode
        assert self.before is not None, "a change has at least one side"
        return self.before.inode


def merged(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield at most one change for each inode: from its first state to its last."""
    net: dict[Inode, Change] = {}
    for change in changes:
        inode = change.inode
        earlier = net.get(inode)
        net[inode] = change if earlier is None else Change(earlier.before, change.after)
    for change in net.values():
        if change.before is not None or change.after is not None:
            yield change
