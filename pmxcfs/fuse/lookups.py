"""What the kernel knows: the inodes it was given and has not given back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pmxcfs.fuse.inodes import kernel_inode
from pmxcfs.memdb.entry import Entry, EntryType, Inode

Place = tuple[Inode, bytes]
"""The directory that an entry is in, and its name."""


@dataclass(slots=True)
class _Known:
    count: int
    type: EntryType | None
    place: Place | None
    is_other: bool = False


class Lookups:
    """Counts how often each inode was handed to the kernel, and as what. Numbers are the kernel's.

    The root is always known to the kernel and never counted.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._generations: dict[int, int] = {}

    def __contains__(self, number: int) -> bool:
        """Whether the kernel may remember anything of this inode."""
        return number in self._known

    def __iter__(self) -> Iterator[int]:
        """Yield every inode that the kernel knows."""
        return iter(self._known)

    def add(
        self, number: int, entry_type: EntryType | None = None, place: Place | None = None
    ) -> None:
        """Count one more answer that gave this inode to the kernel; virtual ones have no type."""
        known = self._known.get(number)
        if known is None:
            self._known[number] = _Known(1, entry_type, place)
        else:
            known.count += 1
            known.type, known.place, known.is_other = entry_type, place, False

    def generation(self, number: int) -> int:
        """Return what tells the kernel apart what an inode has meant, one after the other."""
        return self._generations.get(number, 0)

    def follow(self, number: int, place: Place) -> None:
        """Note that what an inode stands for is at another place now."""
        known = self._known.get(number)
        if known is not None:
            known.place = place

    def follow_tree(self, find: Callable[[int], Entry | None]) -> None:
        """See which inodes stand for something else in the tree that has replaced ours.

        Each member counts its inodes by itself while it is cut off; so what was made here alone,
        and what others made meanwhile, can have one number. What is at its place, in directories
        that are at theirs, is taken for the same. What is another now stays so for the kernel until
        it is given the number anew.
        """
        for number, known in self._known.items():
            if not known.is_other and self._is_elsewhere(number, find):
                known.is_other = True
                self._generations[number] = self.generation(number) + 1

    def is_other(self, number: int) -> bool:
        """Whether an inode stands for something else since a tree was replaced."""
        known = self._known.get(number)
        return known is not None and known.is_other

    def is_known_as_other(self, number: int, entry_type: EntryType) -> bool:
        """Whether the kernel takes this inode for something else than what it stands for now."""
        known = self._known.get(number)
        return known is not None and (known.is_other or known.type is not entry_type)

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

    def _is_elsewhere(self, number: int, find: Callable[[int], Entry | None]) -> bool:
        """Whether an inode, or a directory above it, is not where the kernel was told."""
        while (known := self._known.get(number)) and (entry := find(number)):
            if known.is_other or known.place != (entry.parent, entry.name):
                return True
            number = kernel_inode(entry.parent)
        return False
