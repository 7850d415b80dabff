"""Open directories: a listing holds its order, leaves out what has gone, and begins anew at 0."""

import pytest

from pmxcfs.fuse.inodes import KERNEL_ROOT, VirtualInodes, kernel_inode
from pmxcfs.fuse.listings import Item, Listings
from pmxcfs.fuse.virtual_files import node_links, read_only
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename
from pmxcfs.memdb.tree import Tree

TIME = 1_700_000_000


class Place:
    def __init__(self) -> None:
        self.memdb = Memdb(Tree.new(), TIME)
        self.listings = Listings(
            VirtualInodes([*node_links("n"), read_only(b".version", lambda: b"text")])
        )

    def do(self, *operations: Operation) -> None:
        for operation in operations:
            assert self.memdb.apply(operation, 0, TIME, TIME).result == 0

    def open(self, path: bytes) -> int:
        entry = self.memdb.tree.find(path)
        assert entry is not None
        return self.listings.open(kernel_inode(entry.inode))

    def read(self, handle: int, position: int = 0) -> list[Item]:
        return list(self.listings.read(handle, position, self.memdb.tree))

    def names(self, handle: int, position: int = 0) -> list[bytes]:
        return [item.name for item in self.read(handle, position)]


@pytest.fixture
def place() -> Place:
    place = Place()
    place.do(Mkdir(b"d"), Create(b"d/a"), Create(b"d/b"), Create(b"d/c"))
    return place


def test_dots_come_first_and_mean_the_directory_and_its_parent(place: Place) -> None:
    items = place.read(place.open(b"d"))
    here, above = place.memdb.tree.find(b"d"), place.memdb.tree.root
    assert [(item.name, item.object) for item in items[:2]] == [(b".", here), (b"..", above)]
    assert [item.is_dot for item in items] == [True, True, False, False, False]


def test_a_listing_goes_on_where_it_was_left(place: Place) -> None:
    handle = place.open(b"d")
    third = place.read(handle)[2]
    assert place.names(handle, third.position) == [b"b", b"c"]


def test_what_goes_or_comes_meanwhile_makes_nothing_appear_twice_or_disappear(
    place: Place,
) -> None:
    handle = place.open(b"d")
    first = place.read(handle)[2]
    place.do(Delete(b"d/a"), Delete(b"d/b"), Create(b"d/b"), Create(b"d/z"), Mkdir(b"e"))
    assert place.names(handle, first.position) == [b"c"]
    place.do(Rename(b"d/c", b"e/c"))
    assert place.names(handle, first.position) == []
    assert place.names(handle, 0) == [b".", b"..", b"b", b"z"]


def test_a_removed_directory_is_empty(place: Place) -> None:
    place.do(Mkdir(b"e"))
    handle = place.open(b"e")
    place.do(Delete(b"e"))
    assert place.names(handle) == []


def test_the_root_shows_virtual_objects_first_and_once(place: Place) -> None:
    place.do(Mkdir(b"local"))
    assert place.names(place.listings.open(KERNEL_ROOT)) == [
        b".",
        b"..",
        b"local",
        b"qemu-server",
        b"lxc",
        b"openvz",
        b".version",
        b"d",
    ]


def test_a_listing_that_was_begun_elsewhere_goes_on_behind_the_same_name(place: Place) -> None:
    position = place.read(place.open(b"d"))[2].position
    place.do(Delete(b"d/a"))
    assert place.names(place.open(b"d"), position) == [b"b", b"c"]
    place.do(Rename(b"d/b", b"d/z"))
    assert place.names(place.open(b"d"), position) == [b"z", b"c"]


def test_a_listing_of_the_root_goes_on_behind_any_name(place: Place) -> None:
    handle = place.open(b"")
    items = place.read(handle)
    for index, item in enumerate(items):
        rest = [later.name for later in items[index + 1 :]]
        assert place.names(handle, item.position) == rest
        assert place.names(place.open(b""), item.position) == rest


def test_handles_are_separate_and_end_when_closed(place: Place) -> None:
    first, second = place.open(b"d"), place.open(b"")
    place.listings.close(first)
    assert b"d" in place.names(second)
    with pytest.raises(KeyError):
        place.read(first)
