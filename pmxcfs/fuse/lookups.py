"""What the kernel knows: the inodes it was given and has not given back."""

from collections.abc import Iterator
from dataclasses import dataclass

from pmxcfs.memdb.entry import EntryType


@dataclass(slots=True)
class _Known:
    count: int
    type: EntryType | None


class Lookups:
    """Counts how often each inode was handed to the kernel, and as what. Numbers are the kernel's.

    The root is always known to the kernel and never counted.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def __contains__(self, number: int) -> bool:
        """Whether the kernel may remember anything of this inode."""
        return number in self._known

    def __iter__(self) -> Iterator[int]:
        """Yield every inode that the kernel knows."""
        return iter(self._known)

    def add(self, number: int, entry_type: EntryType | None = None) -> None:
        """Count one more answer that gave this inode to the kernel; virtual ones have no type."""
        known = self._known.get(number)
        if known is None:
            self._known[number] = _Known(1, entry_type)
        else:
            known.count += 1
            known.type = entry_type

    def is_known_as_other(self, number: int, entry_type: EntryType) -> bool:
        """Whether the kernel was told that this inode is of another type."""
        known = self._known.get(number)
        return known is not None and known.type is not entry_type

    def remove(self, number: int, count: int) -> bool:
        """Take back ``count`` answers; true means that the kernel knows the inode no more."""
        known = self._known.get(number)
        if known is None:
            return False
        known.count -= count
        if known.count > 0:
            return False
        del self._known[number]
        return True
