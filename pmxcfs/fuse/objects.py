"""What the kernel's inode numbers stand for, and what the kernel has been told of them."""

from collections.abc import Iterable, Iterator
from errno import ENOENT, ESTALE

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.attributes import Attributes, Stat
from pmxcfs.fuse.inodes import (
    KERNEL_ROOT,
    VirtualInode,
    VirtualInodes,
    is_virtual,
    kernel_inode,
    tree_inode,
)
from pmxcfs.fuse.listings import Item, Listings
from pmxcfs.fuse.lookups import Lookups
from pmxcfs.fuse.open_files import OpenFiles
from pmxcfs.memdb.entry import Entry, Inode
from pmxcfs.memdb.tree import Tree


class Objects:
    """Entries of the tree, open files that were removed from it, and virtual objects.

    Numbers are the kernel's. Methods raise OperationError, ESTALE, for a number that does not stand
    for what the kernel takes it for: it then looks the name up again and repeats the call.
    """

    def __init__(
        self,
        driver: Driver,
        open_files: OpenFiles,
        attributes: Attributes,
        lookups: Lookups,
        virtual: VirtualInodes,
        listings: Listings,
    ) -> None:
        self._driver = driver
        self._open_files = open_files
        self._attributes = attributes
        self._lookups = lookups
        self._virtual = virtual
        self._listings = listings

    @property
    def tree(self) -> Tree:
        """The tree of this moment; a synchronisation replaces it."""
        return self._driver.replica.memdb.tree

    def in_tree(self, inode: Inode) -> Entry | None:
        """Return an entry by its number in the tree."""
        return self.tree.get(inode)

    def is_virtual_name(self, parent: int, name: bytes) -> bool:
        """Whether a virtual object stands at this place."""
        return parent == KERNEL_ROOT and name in self._virtual

    def child(self, parent: int, name: bytes) -> Stat:
        """Return what is at a place, for an answer that makes the kernel know it."""
        if self.is_virtual_name(parent, name):
            return self.hand_out(self._virtual.current(name))
        if self._live(parent) is None:
            raise OperationError(ESTALE)
        entry = self.tree.child(tree_inode(parent), name)
        if entry is None:
            raise OperationError(ENOENT)
        return self.hand_out(entry)

    def inodes_at(self, *places: tuple[Inode, bytes]) -> list[Inode]:
        """Return the inodes, the tree's, of what has these names in these directories."""
        entries = (self.tree.child(directory, name) for directory, name in places)
        return [entry.inode for entry in entries if entry is not None]

    def listed(self, handle: int, position: int) -> Iterator[Item]:
        """Yield what is in an open directory behind a position; nothing if it is another now."""
        if self._lookups.is_other(self._listings.number(handle)):
            return iter(())
        return self._listings.read(handle, position, self.tree)

    def hand_out(self, item: Entry | VirtualInode) -> Stat:
        """Return attributes for an answer that makes the kernel know an inode."""
        self.note_known(item)
        return self._attributes.of(item)

    def hand_out_made(self, entry: Entry, parent: Inode, name: bytes) -> Stat:
        """Do so for what was made at a place, which others may have moved or removed since.

        Then the kernel must not find it there again.
        """
        if self.tree.child(parent, name) is entry:
            return self.hand_out(entry)
        self.note_known(entry)
        attributes = self._attributes.of_orphan(entry)
        attributes.entry_timeout = 0.0
        return attributes

    def note_known(self, item: Entry | VirtualInode) -> None:
        """Note that the kernel is given an inode.

        A virtual object keeps its text under this number until the kernel gives it back.
        """
        if isinstance(item, VirtualInode):
            self._lookups.add(item.number)
            self._virtual.keep(item)
        else:
            number = kernel_inode(item.inode)
            if self._lookups.is_known_as_other(number, item.type):
                self._open_files.replace(item)
            self._lookups.add(number, item.type, (item.parent, item.name))
            if self._open_files.takes_known_for_open and not item.is_directory:
                self._open_files.know(item)

    def take_back(self, forgotten: Iterable[tuple[int, int]]) -> None:
        """Let go of what the kernel gave back, as (number, count of answers)."""
        for number, count in forgotten:
            if not self._lookups.remove(number, count):
                continue
            if is_virtual(number):
                self._virtual.let_go(number)
            else:
                self._attributes.drop(tree_inode(number))
                self._listings.drop(number)
                if self._open_files.takes_known_for_open:
                    self._open_files.forget(tree_inode(number))

    def virtual(self, number: int) -> VirtualInode:
        """Return a virtual object as the kernel got it."""
        virtual = self._virtual.get(number)
        if virtual is None:
            raise OperationError(ESTALE)
        return virtual

    def entry(self, number: int) -> Entry:
        """Return an entry of the tree, or of an open file that was removed from it."""
        entry = self._live(number) or self._open_files.get(tree_inode(number))
        if entry is None:
            raise OperationError(ESTALE)
        return entry

    def attributes(self, number: int) -> Stat:
        """Return the attributes of anything the kernel knows."""
        if is_virtual(number):
            return self._attributes.of(self.virtual(number))
        entry = self._live(number)
        if entry is not None:
            return self._attributes.of(entry)
        return self._attributes.of_orphan(self.entry(number))

    def path(self, number: int) -> bytes:
        """Return the path of anything the kernel knows; of a removed file, its last name."""
        if is_virtual(number):
            return self.virtual(number).object.name
        entry = self._live(number)
        return self.entry(number).name if entry is None else self.tree.path_of(entry.inode)

    def _live(self, number: int) -> Entry | None:
        """Return an entry of the tree, unless the kernel takes it for another.

        A number can come to mean another entry when the tree of another node is taken over.
        """
        return self.live(tree_inode(number))

    def live(self, inode: Inode) -> Entry | None:
        """Do so for an inode of the tree."""
        entry = self.tree.get(inode)
        if entry is None or self._lookups.is_known_as_other(kernel_inode(inode), entry.type):
            return None
        return entry
