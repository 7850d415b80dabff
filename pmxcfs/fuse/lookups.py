"""What the kernel knows: the inodes it was given and has not given back."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Known:
    """One inode in the kernel's memory, and where the kernel saw it last."""

    count: int
    parent: int
    name: bytes


class Lookups:
    """Counts how often each inode was handed to the kernel. All numbers are the kernel's.

    The root is always known to the kernel and never counted.
    """

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def __contains__(self, inode: int) -> bool:
        """Whether the kernel may remember anything of this inode."""
        return inode in self._known

    def __iter__(self) -> Iterator[tuple[int, Known]]:
        """Yield every inode that the kernel knows."""
        return iter(self._known.items())

    def __len__(self) -> int:
        """Return how many inodes the kernel knows."""
        return len(self._known)

    def add(self, inode: int, parent: int, name: bytes) -> None:
        """Count one more answer that gave this inode to the kernel."""
        known = self._known.get(inode)
        if known is None:
            self._known[inode] = Known(1, parent, name)
            return
        known.count += 1
        known.parent = parent
        known.name = name

    def remove(self, inode: int, count: int) -> bool:
        """Take back ``count`` answers; true means that the kernel knows the inode no more."""
        known = self._known.get(inode)
        if known is None:
            return False
        known.count -= count
        if known.count > 0:
            return False
        del self._known[inode]
        return True
