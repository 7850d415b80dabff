"""The index of a tree, which nodes exchange to compare trees, and the checksums of entries."""

from hashlib import sha256
from itertools import pairwise
from struct import Struct
from typing import TypeAlias

from pmxcfs.errors import ProtocolError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, Inode
from pmxcfs.memdb.tree import Tree
from pmxcfs.values import value

Digest: TypeAlias = bytes

_RECORD = Struct("<QIIIBQ")  # version, writer, mtime, size, type, parent
_INODE = Struct("<Q")
_HEADER = Struct("<QQIIII")  # version, last inode, writer, mtime, entries, total bytes
_ENTRY = Struct("<Q32s")  # inode, digest


def index_digest(entry: Entry) -> Digest:
    """Return the SHA-256 that stands for an entry in an index; it leaves the inode out.

    Source: docs/PROTOCOL.md, "Index and checksums".
    """
    return sha256(_record(entry)).digest()


def entry_checksum(entry: Entry) -> bytes:
    """Return the SHA-256 of an entry with its inode; locks are recognised by it.

    Source: docs/PROTOCOL.md, "Index and checksums".
    """
    return sha256(_INODE.pack(entry.inode) + _record(entry)).digest()


def tree_checksum(tree: Tree) -> bytes:
    """Return one SHA-256 over all entries; nodes verify with it that they are equal.

    Walks the tree and its contents if anything has changed since the last call.

    Source: docs/PROTOCOL.md, "Index and checksums".
    """
    if tree.checksum is None:
        total = sha256()
        for entry in tree.entries():
            total.update(_INODE.pack(entry.inode) + _record(entry))
        tree.checksum = total.digest()
    return tree.checksum


@value(frozen=True, slots=True)
class Index:
    """What a tree looks like, without its contents. Two trees are equal if their indexes are.

    ``digests`` has one pair (inode, digest) for every entry, by ascending inode, the root first.

    Source: docs/PROTOCOL.md, "Index and checksums".
    """

    version: int
    last_inode: Inode
    writer: int
    mtime: int
    digests: tuple[tuple[Inode, Digest], ...]

    def encode(self) -> bytes:
        """Return the bytes of the index: 32 of header, 40 for each entry."""
        count = len(self.digests)
        size = _HEADER.size + count * _ENTRY.size
        header = _HEADER.pack(self.version, self.last_inode, self.writer, self.mtime, count, size)
        return header + b"".join(_ENTRY.pack(inode, digest) for inode, digest in self.digests)

    @classmethod
    def decode(cls, data: bytes) -> "Index":
        """Read an index.

        Raises:
            ProtocolError: these bytes are not an index.
        """
        if len(data) < _HEADER.size:
            raise ProtocolError(f"an index of {len(data)} bytes is too short")
        version, last_inode, writer, mtime, count, size = _HEADER.unpack_from(data)
        if size != len(data) or size != _HEADER.size + count * _ENTRY.size:
            raise ProtocolError(f"an index of {len(data)} bytes says {size}, {count} entries")
        digests = tuple(_ENTRY.iter_unpack(data[_HEADER.size :]))
        if not digests or digests[0][0] != ROOT_INODE:
            raise ProtocolError("an index does not begin with the root")
        if any(first >= second for (first, _), (second, _) in pairwise(digests)):
            raise ProtocolError("an index is not sorted")
        return cls(version, last_inode, writer, mtime, digests)


def index_of(tree: Tree) -> Index:
    """Return the index of a tree. Walks the tree, and hashes what changed since the last time."""
    known = tree.digest_of
    digests = []
    for entry in tree.entries():
        digest = known.get(entry.inode)
        if digest is None:
            digest = known[entry.inode] = index_digest(entry)
        digests.append((entry.inode, digest))
    root = tree.root
    return Index(root.version, digests[-1][0], root.writer, root.mtime, tuple(digests))


def _record(entry: Entry) -> bytes:
    """Return the hashed form of an entry. A file that has a size but no data adds no content."""
    fields = _RECORD.pack(
        entry.version, entry.writer, entry.mtime, entry.size, entry.type, entry.parent
    )
    return fields + entry.name + entry.data
