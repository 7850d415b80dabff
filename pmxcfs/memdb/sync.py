"""How members whose trees differ agree on one: whose it is, what to send, and how to take it over.

Source: docs/PROTOCOL.md, "Synchronisation".
"""

from collections.abc import Iterable, Mapping, Sequence

from pmxcfs.errors import ProtocolError, StorageError
from pmxcfs.identity import Member
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, Inode
from pmxcfs.memdb.index import Digest, Index, index_digest, index_of
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX
from pmxcfs.memdb.messages import decode_update
from pmxcfs.memdb.tree import Tree

UPDATES_BYTES_MAX = 4 * CONTENT_BYTES_MAX
"""What a leader may send in one synchronisation. Members of the reference let a tree grow beyond
its limits, but a leader that goes on for ever must not fill our memory."""

_ENTRY_OVERHEAD_BYTES = 256


class Updates:
    """The leader's entries that we lack, as they come."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._size_bytes = 0

    def collect(self, payload: bytes) -> None:
        """Add one.

        Raises:
            ProtocolError: the payload is malformed, or this is more than a tree may have.
        """
        self._size_bytes += _ENTRY_OVERHEAD_BYTES + len(payload)
        if self._size_bytes > UPDATES_BYTES_MAX:
            raise ProtocolError(
                f"after {len(self.entries)} updates the leader's tree would be larger than any"
            )
        self.entries.append(decode_update(payload))


def choose_leader(index_of: Mapping[Member, Index]) -> Member:
    """Return the member whose tree all others will copy.

    The highest version wins; then the latest mtime of the root; then the lowest member. Every
    member sees the same indexes, so every member names the same leader.

    Args:
        index_of: the Index that each present member sent, one per member.

    Raises:
        ValueError: nobody sent an index.

    Source: docs/PROTOCOL.md, "Synchronisation".
    """
    return max(
        sorted(index_of), key=lambda member: (index_of[member].version, index_of[member].mtime)
    )


def differing_inodes(leader: Index, others: Iterable[Index]) -> list[Inode]:
    """Return the leader's inodes that at least one other lacks or has otherwise, ascending."""
    shared = set(leader.digests)
    for index in others:
        shared.intersection_update(index.digests)
    return [inode for inode, digest in leader.digests if (inode, digest) not in shared]


def catch_up(
    tree: Tree, leader: Index, updates: Sequence[Entry]
) -> tuple[Tree, tuple[Change, ...]]:
    """Return the leader's tree, made of ours and what the leader sent, and what changes for us.

    Our own tree is left as it is. The changes are by ascending inode, but for the root's, which
    is the last.

    Raises:
        ProtocolError: what we have and got does not make up the tree that the leader's index
            describes.

    Source: docs/PROTOCOL.md, "Synchronisation".
    """
    digest_of = dict(leader.digests)
    entries = {entry.inode: entry for entry in tree.entries() if entry.inode in digest_of}
    for entry in updates:
        entries[entry.inode] = _as_the_leader_has_it(entry, digest_of.get(entry.inode))
    try:
        result = Tree.from_entries(entries.values())
    except StorageError as error:
        raise ProtocolError(f"the leader's tree is unsound: {error}") from error
    _keep_digests(tree, result)
    if index_of(result) != leader:
        raise ProtocolError("our tree plus the updates does not have the leader's index")
    return result, _differences(tree, result)


def _as_the_leader_has_it(entry: Entry, digest: Digest | None) -> Entry:
    """Return the entry, without its zeros if the leader's file has a size but no content."""
    if entry.size and digest is not None and not any(entry.data):
        hollow = entry.rewritten(b"", entry.size, entry.mtime)
        if index_digest(hollow) == digest:
            return hollow
    return entry


def _keep_digests(old: Tree, new: Tree) -> None:
    for inode, digest in old.digest_of.items():
        entry = new.get(inode)
        if entry is not None and entry is old.get(inode):
            new.digest_of[inode] = digest


def _differences(old: Tree, new: Tree) -> tuple[Change, ...]:
    inodes = {entry.inode for tree in (old, new) for entry in tree.entries()}
    pairs = [(old.get(inode), new.get(inode)) for inode in sorted(inodes - {ROOT_INODE})]
    pairs.append((old.root, new.root))
    return tuple(Change(before, after) for before, after in pairs if before != after)
