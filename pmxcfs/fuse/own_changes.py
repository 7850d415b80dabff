"""What requests of this kernel change at the moment, and what of it the kernel knows by itself.

When such a request is answered the kernel takes the attributes for old of what it changed: of the
directories whose names it made, moved or removed, of a file that it wrote. To tell it as well would
cost a change of threads for each change, and one more question about what was just answered.
"""

from collections.abc import Callable, Iterable
from types import TracebackType

from pmxcfs.fuse.permissions import permissions_of
from pmxcfs.memdb.entry import Change, Inode


class OwnChanges:
    """The entries that requests under way are about to change.

    Args:
        tell: has the kernel told of entries; for a request that failed in the end.
    """

    def __init__(self, tell: Callable[[Iterable[Inode]], None]) -> None:
        self._tell = tell
        self._under_way: dict[Inode, UnderWay] = {}

    def __contains__(self, inode: object) -> bool:
        """Whether a request that changes this entry is under way."""
        return inode in self._under_way

    def begin(self, inodes: Iterable[Inode]) -> "UnderWay":
        """Return a context for a request.

        Args:
            inodes: of directories whose names it changes, and of what it changes, moves or removes.
        """
        return UnderWay(inodes, self._under_way, self._tell)

    def spare(self, inodes: set[Inode], changes: Iterable[Change]) -> set[Inode]:
        """Return the entries of which the kernel has to be told all the same.

        Args:
            inodes: of which it would be told if another node had made the changes.
            changes: those of a request that may still be under way.
        """
        moved = {change.inode for change in changes if _has_other_attributes(change)}
        spared = {inode for inode in inodes - moved if inode in self._under_way}
        for inode in spared:
            self._under_way[inode].spared.add(inode)
        return inodes - spared


class UnderWay:
    """One request under way; a context that ends with its answer."""

    __slots__ = ("_all", "_inodes", "_tell", "spared")

    def __init__(
        self,
        inodes: Iterable[Inode],
        all_under_way: "dict[Inode, UnderWay]",
        tell: Callable[[Iterable[Inode]], None],
    ) -> None:
        self._inodes = inodes
        self._all = all_under_way
        self._tell = tell
        self.spared: set[Inode] = set()

    def __enter__(self) -> None:
        for inode in self._inodes:
            self._all[inode] = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for inode in self._inodes:
            if self._all.get(inode) is self:
                del self._all[inode]
        if error is not None and self.spared:
            self._tell(self.spared)


def _has_other_attributes(change: Change) -> bool:
    """Whether an entry was moved, and not only its times are others for that.

    A directory that has another parent lists that one; and modes depend on the path.
    """
    before, after = change.before, change.after
    if before is None or after is None:
        return False
    if before.parent != after.parent:
        return True
    if before.name == after.name:
        return False
    old, new = (
        permissions_of(entry.name, entry.type, is_quorate=True) for entry in (before, after)
    )
    return old != new
