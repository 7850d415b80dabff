"""What a synchronisation would destroy: content of ours that no other node may have.

The longest history wins a synchronisation. A node that merely missed changes loses nothing by that;
one that made changes of its own does. Of the other tree we know only what it is now, so a departure
is told by signs: some of them in the trees, one remembered since it happened (``memdb.sharing``).
"""

from collections.abc import Iterator

from pmxcfs.memdb.entry import ROOT_INODE, Entry
from pmxcfs.memdb.paths import is_lock_path
from pmxcfs.memdb.tree import Tree


def lost_paths(ours: Tree, theirs: Tree, unshared_since: int | None = None) -> list[bytes]:
    """Return the paths of our entries whose content is gone when their tree replaces ours.

    Nothing is lost that they removed or wrote over after having seen it. Locks do not count.

    Args:
        ours: the tree that is replaced; its root's version is not above theirs.
        theirs: the leader's tree.
        unshared_since: the version of our first change that the leader is not known to have.
    """
    has_parted = _has_parted(ours, theirs)
    cluster_began = _first_version_of_a_cluster(ours)
    lost = []
    for entry, path in _replaced(ours, theirs):
        is_unshared = unshared_since is not None and entry.version >= unshared_since
        is_local = entry.writer == 0 and entry.version > cluster_began
        if has_parted or is_unshared or is_local:
            lost.append(path)
    return lost


def _has_parted(ours: Tree, theirs: Tree) -> bool:
    """Whether the trees prove that theirs was not made from ours.

    Every change stamps its entry with the version it brings about. So what they have from a time
    that our tree has been through must be in our tree too, and inode numbers are versions as well.
    """
    if ours.root.writer == 0 and any(entry.writer for entry in ours.entries()):
        return True  # our last change was made alone, in a tree that comes from a cluster
    reached = ours.root.version
    return any(
        _contradicts(ours.get(entry.inode), entry, reached)
        for entry in theirs.entries()
        if entry.inode <= reached
    )


def _contradicts(mine: Entry | None, theirs: Entry, reached: int) -> bool:
    """Whether an entry that was there when our tree was at ``reached`` cannot have come from it."""
    if mine is None or mine.type is not theirs.type:
        return True
    return mine != theirs and theirs.version <= max(reached, mine.version)


def _first_version_of_a_cluster(tree: Tree) -> int:
    """Return the version of the oldest change that a node of a cluster made; else a huge one."""
    versions = (entry.version for entry in tree.entries() if entry.writer)
    return min(versions, default=2**64)


def _replaced(ours: Tree, theirs: Tree) -> Iterator[tuple[Entry, bytes]]:
    """Yield our entries, with their paths, that they have neither in place nor moved."""
    for entry in ours.entries():
        same = theirs.get(entry.inode)
        if entry.inode == ROOT_INODE or same is entry or same == entry:
            continue
        path = ours.path_of(entry.inode)
        there = theirs.find(path)
        if not (_holds(same, entry) or _holds(there, entry) or is_lock_path(path)):
            yield entry, path


def _holds(other: Entry | None, entry: Entry) -> bool:
    """Whether another entry has all that this one could tell."""
    return other is not None and (other.type, other.data) == (entry.type, entry.data)
