"""Which inode numbers the kernel gets to see.

The kernel's number of an entry is its inode in the tree plus one, so that the root is 1, as FUSE
wants it. Virtual objects have numbers that no tree can reach by counting its versions.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pmxcfs.fuse.virtual_files import VirtualFile, VirtualLink, VirtualObject
from pmxcfs.memdb.entry import ROOT_INODE, Inode

FIRST_VIRTUAL_INODE = 2**62


def kernel_inode(inode: Inode) -> int:
    """Return the kernel's number of an entry."""
    return inode + 1


def tree_inode(number: int) -> Inode:
    """Return the entry behind a kernel's number that is not virtual."""
    return Inode(number - 1)


def is_virtual(number: int) -> bool:
    """Whether a kernel's number stands for a virtual object."""
    return number >= FIRST_VIRTUAL_INODE


KERNEL_ROOT = kernel_inode(ROOT_INODE)


@dataclass(frozen=True, slots=True)
class VirtualInode:
    """A virtual object as it was when the kernel looked it up.

    The number stands for the text: whoever holds it, by an open file or a cached attribute, sees
    this text to the end. ``text`` of a link is its target.
    """

    number: int
    object: VirtualObject
    text: bytes


class VirtualInodes:
    """The virtual objects by name and, while the kernel knows their numbers, by number."""

    def __init__(self, objects: Iterable[VirtualObject]) -> None:
        self._objects = {item.name: item for item in objects}
        self._numbers = itertools.count(FIRST_VIRTUAL_INODE)
        self._by_number: dict[int, VirtualInode] = {}
        self._latest: dict[bytes, VirtualInode] = {}

    def __contains__(self, name: bytes) -> bool:
        """Whether a virtual object has this name in the root directory."""
        return name in self._objects

    def __iter__(self) -> Iterator[bytes]:
        """Yield the names, in the order in which they were given."""
        return iter(self._objects)

    def current(self, name: bytes) -> VirtualInode:
        """Return the object as it is now; a text that changed gets a new number.

        Raises:
            KeyError: there is no such virtual object.
        """
        text = _text_of(self._objects[name])
        latest = self._latest.get(name)
        if latest is None or latest.text != text:
            latest = VirtualInode(next(self._numbers), self._objects[name], text)
            self._latest[name] = latest
        return latest

    def keep(self, virtual: VirtualInode) -> None:
        """Keep a text by its number for as long as the kernel knows it."""
        self._by_number[virtual.number] = virtual

    def get(self, number: int) -> VirtualInode | None:
        """Return what the kernel got under this number."""
        return self._by_number.get(number)

    def let_go(self, number: int) -> None:
        """Let go of a number that the kernel no longer knows."""
        self._by_number.pop(number, None)


def _text_of(item: VirtualObject) -> bytes:
    match item:
        case VirtualFile():
            return item.read()
        case VirtualLink():
            return item.target
