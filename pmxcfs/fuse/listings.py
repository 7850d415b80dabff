"""Open directories: what is in each, in an order that holds until it is rewound."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pmxcfs.fuse.inodes import KERNEL_ROOT, VirtualInode, VirtualInodes, is_virtual, tree_inode
from pmxcfs.memdb.entry import Entry, Inode
from pmxcfs.memdb.tree import Tree

_DOTS = (b".", b"..")


@dataclass(frozen=True, slots=True)
class Item:
    """One name of a listing, and the position behind it."""

    position: int
    name: bytes
    object: Entry | VirtualInode

    @property
    def is_dot(self) -> bool:
        """Whether this is the directory itself or its parent."""
        return self.name in _DOTS


@dataclass(slots=True)
class _OpenDirectory:
    number: int
    names: Sequence[tuple[bytes, Inode | None]] = ()


class Listings:
    """The open directories by handle. A position counts names from the beginning of a listing.

    At the root the virtual objects come first and hide entries of the same name.
    """

    def __init__(self, virtual: VirtualInodes) -> None:
        self._virtual = virtual
        self._handles = itertools.count(1)
        self._open: dict[int, _OpenDirectory] = {}

    def open(self, number: int) -> int:
        """Open a directory by the kernel's inode number; return its handle."""
        handle = next(self._handles)
        self._open[handle] = _OpenDirectory(number)
        return handle

    def close(self, handle: int) -> None:
        """Let go of a handle."""
        del self._open[handle]

    def read(self, handle: int, position: int, tree: Tree) -> Iterator[Item]:
        """Yield what is in a directory, from ``position`` on; 0 begins a new listing.

        Entries that have gone or moved since are left out. ``.`` and ``..`` come first. A
        directory that has been removed has nothing in it.
        """
        directory = self._open[handle]
        if position == 0:
            directory.names = self._names(directory.number, tree)
        here = tree_inode(directory.number)
        for index in range(position, len(directory.names)):
            name, inode = directory.names[index]
            if inode is None:
                yield Item(index + 1, name, self._virtual.current(name))
                continue
            entry = tree.get(inode)
            is_still_there = entry is not None and (entry.parent, entry.name) == (here, name)
            if entry is not None and (is_still_there or name in _DOTS):
                yield Item(index + 1, name, entry)

    def _names(self, number: int, tree: Tree) -> Sequence[tuple[bytes, Inode | None]]:
        directory = None if is_virtual(number) else tree.get(tree_inode(number))
        if directory is None:
            return ()
        dots = [(_DOTS[0], directory.inode), (_DOTS[1], directory.parent)]
        children = [(child.name, child.inode) for child in tree.children(directory.inode)]
        if number != KERNEL_ROOT:
            return [*dots, *children]
        virtual = [(name, None) for name in self._virtual]
        return [*dots, *virtual, *(child for child in children if child[0] not in self._virtual)]
