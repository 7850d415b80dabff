"""Open directories: what is in each, in an order that outlives every change.

A position says behind which inode a listing goes on, whatever was listed before and by whom. So the
kernel may read the beginning from its own memory, and the rest from us.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from pmxcfs.fuse import attributes
from pmxcfs.fuse.inodes import KERNEL_ROOT, VirtualInode, VirtualInodes, is_virtual, tree_inode
from pmxcfs.memdb.entry import Entry, Inode
from pmxcfs.memdb.tree import Tree

_DOTS = (b".", b"..")

ENTRIES_FROM = 2**16
"""The position behind an entry is its inode plus this; the dots and virtual objects are before."""

_by_inode = attrgetter("inode")


class Item(NamedTuple):
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
    entries: Sequence[Entry] | None = None


class Listings:
    """The open directories by handle.

    At the root the virtual objects come first and hide entries of the same name.
    """

    def __init__(self, virtual: VirtualInodes) -> None:
        self._virtual = virtual
        self._handles = itertools.count(1)
        self._open: dict[int, _OpenDirectory] = {}
        self._begun_s: dict[int, float] = {}

    def open(self, number: int) -> int:
        """Open a directory by the kernel's inode number; return its handle."""
        handle = next(self._handles)
        self._open[handle] = _OpenDirectory(number)
        return handle

    def close(self, handle: int) -> None:
        """Let go of a handle."""
        del self._open[handle]

    def number(self, handle: int) -> int:
        """Return the kernel's inode number that a handle was opened by."""
        return self._open[handle].number

    def begin(self, handle: int, now_s: float) -> None:
        """Note that the kernel gets a listing from its beginning, with fresh attributes."""
        self._begun_s[self._open[handle].number] = now_s

    def is_fresh(self, number: int, now_s: float) -> bool:
        """Whether the kernel still has the attributes that came with its last listing.

        Args:
            number: the kernel's inode number of a directory.
            now_s: by the clock of ``begin``.
        """
        begun_s = self._begun_s.get(number)
        return begun_s is not None and now_s < begun_s + attributes.CACHE_S

    def end_freshness(self) -> None:
        """Note that the kernel remembers no name of any listing any more."""
        self._begun_s.clear()

    def drop(self, number: int) -> None:
        """The kernel no longer knows this inode."""
        self._begun_s.pop(number, None)

    def read(self, handle: int, position: int, tree: Tree) -> Iterator[Item]:
        """Yield what is in a directory behind ``position``; 0 begins a new listing.

        Entries that have gone or moved since are left out. ``.`` and ``..`` come first. A
        directory that has been removed has nothing in it.
        """
        directory = self._open[handle]
        here = None if is_virtual(directory.number) else tree.get(tree_inode(directory.number))
        if here is None:
            return
        if position == 0 or directory.entries is None:
            directory.entries = sorted(tree.children(here.inode), key=_by_inode)
        if position < ENTRIES_FROM:
            yield from self._before_entries(here, position, tree)
        yield from self._entries(here, directory.entries, position, tree)

    def _before_entries(self, here: Entry, position: int, tree: Tree) -> Iterator[Item]:
        above = tree.get(here.parent)
        names = list(self._virtual) if _is_root(here) else []
        for index, name in enumerate([*_DOTS, *names][position:], position):
            if index >= len(_DOTS):
                yield Item(index + 1, name, self._virtual.current(name))
            elif above is not None:
                yield Item(index + 1, name, above if index else here)

    def _entries(
        self, here: Entry, entries: Sequence[Entry], position: int, tree: Tree
    ) -> Iterator[Item]:
        hidden = self._virtual if _is_root(here) else ()
        behind = Inode(position - ENTRIES_FROM)
        for index in range(bisect_right(entries, behind, key=_by_inode), len(entries)):
            listed = entries[index]
            entry = tree.get(listed.inode)
            if entry is not listed and not _is_at_place_of(listed, entry):
                continue
            if listed.name not in hidden:
                yield Item(listed.inode + ENTRIES_FROM, listed.name, entry or listed)


def _is_at_place_of(listed: Entry, entry: Entry | None) -> bool:
    return entry is not None and (entry.parent, entry.name) == (listed.parent, listed.name)


def _is_root(entry: Entry) -> bool:
    return tree_inode(KERNEL_ROOT) == entry.inode
