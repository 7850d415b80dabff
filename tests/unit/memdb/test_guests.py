"""Which paths configure a guest, and what happens to the list of guests."""

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Entry, EntryType, Inode
from pmxcfs.memdb.guests import Guest, GuestList, GuestPath, parse_guest_path
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Rename, SetMtime, Write
from tests.unit.memdb.scene import a_memdb, do, put, refusal

NODES = ("nodes/", "nodes/a/", "nodes/a/qemu-server/", "nodes/a/lxc/", "nodes/a/openvz/")
OTHER = ("nodes/b/", "nodes/b/qemu-server/", "nodes/b/lxc/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"nodes/a/qemu-server/100.conf", GuestPath(100, "a", "qemu")),
        (b"nodes/a/lxc/1.conf", GuestPath(1, "a", "lxc")),
        (b"nodes/a-1-B/openvz/4294967295.conf", GuestPath(4294967295, "a-1-B", "openvz")),
        (b"nodes/1/lxc/7.conf", GuestPath(7, "1", "lxc")),
        (b"nodes/a/qemu-server/4294967296.conf", None),
        (b"nodes/a/qemu-server/1%s.conf" % (b"0" * 5000), None),
        (b"nodes/a/qemu-server/0.conf", None),
        (b"nodes/a/qemu-server/0100.conf", None),
        (b"nodes/a/qemu-server/1a.conf", None),
        (b"nodes/a/qemu-server/100.conf.tmp.5", None),
        (b"nodes/a/qemu-server/100.conf\n", None),
        (b"nodes/a/qemu-server/\xd9\xa1.conf", None),
        (b"nodes/a/qemu-server/.conf", None),
        (b"nodes/a/qemu/100.conf", None),
        (b"others/a/lxc/100.conf", None),
        (b"nodes/-a/lxc/100.conf", None),
        (b"nodes/a-/lxc/100.conf", None),
        (b"nodes/a.b/lxc/100.conf", None),
        (b"nodes/a_b/lxc/100.conf", None),
        (b"nodes/a\n/lxc/100.conf", None),
        (b"nodes//lxc/100.conf", None),
        (b"nodes//a/lxc/100.conf", None),
        (b"/nodes/a/lxc/100.conf", None),
        (b"nodes/a/lxc/100.conf/", None),
        (b"nodes/a/lxc/x/100.conf", None),
        (b"", None),
    ],
)
def test_the_text_of_a_path_tells_a_guest(path: bytes, expected: GuestPath | None) -> None:
    assert parse_guest_path(path) == expected


def listed(memdb: Memdb) -> dict[int, tuple[str, str, int]]:
    return {guest.vmid: (guest.node, guest.kind, guest.version) for guest in memdb.guests}


def test_creating_and_writing_a_configuration_registers_its_guest_each_time() -> None:
    memdb = a_memdb(*NODES)
    assert (memdb.guests.version, len(memdb.guests)) == (0, 0)
    do(memdb, Create(b"nodes/a/qemu-server/100.conf"))
    assert (memdb.guests.version, listed(memdb)) == (1, {100: ("a", "qemu", 1)})
    do(memdb, Write(b"nodes/a/qemu-server/100.conf", 0, b"x"))
    assert (memdb.guests.version, listed(memdb)) == (2, {100: ("a", "qemu", 2)})


def test_an_mtime_does_not_register_a_guest_again() -> None:
    memdb = a_memdb(*NODES, "nodes/a/lxc/100.conf")
    do(memdb, SetMtime(b"nodes/a/lxc/100.conf", 5))
    assert (memdb.guests.version, listed(memdb)) == (1, {100: ("a", "lxc", 1)})


def test_a_migration_moves_the_list_by_two() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/qemu-server/100.conf")
    do(memdb, Rename(b"nodes/a/qemu-server/100.conf", b"nodes/b/qemu-server/100.conf"))
    assert (memdb.guests.version, listed(memdb)) == (3, {100: ("b", "qemu", 2)})


def test_renaming_a_configuration_away_and_into_place_unregisters_and_registers() -> None:
    memdb = a_memdb(*NODES, "nodes/a/lxc/100.conf")
    do(memdb, Rename(b"nodes/a/lxc/100.conf", b"nodes/a/lxc/100.conf.tmp"))
    assert (memdb.guests.version, listed(memdb)) == (2, {})
    do(memdb, Rename(b"nodes/a/lxc/100.conf.tmp", b"nodes/a/lxc/101.conf"))
    assert (memdb.guests.version, listed(memdb)) == (3, {101: ("a", "lxc", 2)})


def test_a_configuration_that_replaces_another_takes_its_id() -> None:
    memdb = a_memdb(*NODES, "nodes/a/lxc/100.conf", "nodes/a/lxc/101.conf")
    do(memdb, Rename(b"nodes/a/lxc/100.conf", b"nodes/a/lxc/101.conf"))
    assert (memdb.guests.version, listed(memdb)) == (4, {101: ("a", "lxc", 3)})


def test_a_configuration_whose_id_another_has_taken_is_not_written_any_more() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf", "nodes/b/lxc/100.conf/")
    do(memdb, Delete(b"nodes/b/lxc/100.conf"))
    do(memdb, Create(b"nodes/b/lxc/100.conf"))
    assert refusal(memdb, Write(b"nodes/a/lxc/100.conf", 0, b"x")) == "EEXIST"
    do(memdb, Delete(b"nodes/a/lxc/100.conf"))
    assert (listed(memdb), memdb.guests.version) == ({}, 4)


def test_deleting_a_configuration_frees_its_id() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf")
    assert refusal(memdb, Create(b"nodes/b/lxc/100.conf")) == "EEXIST"
    do(memdb, Delete(b"nodes/a/lxc/100.conf"))
    assert (memdb.guests.version, listed(memdb)) == (2, {})
    assert refusal(memdb, Create(b"nodes/b/lxc/100.conf")) == "none"


def test_a_directory_named_like_a_configuration_unregisters_the_id_when_deleted() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf")
    do(memdb, Mkdir(b"nodes/b/lxc/100.conf"))
    assert 100 in listed(memdb)
    do(memdb, Delete(b"nodes/b/lxc/100.conf"))
    assert 100 not in listed(memdb)


def test_renaming_a_directory_named_like_a_configuration_leaves_the_list() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf", "nodes/b/lxc/100.conf/")
    do(memdb, Rename(b"nodes/b/lxc/100.conf", b"nodes/b/lxc/101.conf"))
    assert (memdb.guests.version, listed(memdb)) == (1, {100: ("a", "lxc", 1)})


def test_a_loaded_tree_has_its_guests_and_numbers_them_on() -> None:
    memdb = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf", "nodes/b/lxc/101.conf")
    do(memdb, Mkdir(b"nodes/a/lxc/102.conf"))
    loaded = Memdb(memdb.tree, now_s=0)
    assert loaded.guests.version == 1
    assert sorted(guest.version for guest in loaded.guests) == [1, 2]
    loaded.replace(memdb.tree, now_s=0)
    assert loaded.guests.version == 2
    assert sorted(guest.version for guest in loaded.guests) == [3, 4]
    assert {vmid: value[:2] for vmid, value in listed(loaded).items()} == {
        100: ("a", "lxc"),
        101: ("b", "lxc"),
    }


def test_a_text_that_was_made_of_the_list_goes_with_every_change_of_it() -> None:
    memdb = a_memdb(*NODES)
    for change in (Create(b"nodes/a/lxc/100.conf"), Delete(b"nodes/a/lxc/100.conf")):
        memdb.guests.text = b"made before"
        do(memdb, change)
        assert memdb.guests.text is None
    memdb.guests.text = b"made before"
    do(memdb, Create(b"nodes/a/lxc/100.tmp"))
    assert memdb.guests.text == b"made before"
    memdb.replace(a_memdb().tree, now_s=0)
    assert memdb.guests.text is None


@pytest.mark.parametrize("paths", [("file",), ("nodes",)])
def test_without_a_directory_of_nodes_the_list_keeps_its_version(paths: tuple[str, ...]) -> None:
    assert Memdb(a_memdb(*paths).tree, now_s=0).guests.version == 0


def test_a_tree_with_one_id_twice_is_refused_and_the_list_is_filled() -> None:
    tree = a_memdb(*NODES, *OTHER, "nodes/a/lxc/100.conf", "nodes/b/lxc/101.conf").tree
    twin = tree.find(b"nodes/b/lxc/101.conf")
    assert twin is not None
    memdb = Memdb(tree, now_s=0)
    put(memdb, "nodes/a/lxc/100.conf", b"x")
    tree.remove(twin.inode)
    tree.put(type(twin)(twin.inode, twin.parent, 1, 1, 1, twin.type, b"100.conf"))
    with pytest.raises(StorageError, match=r"more than one configuration: \[100\]"):
        GuestList().rebuild(tree)
    with pytest.raises(StorageError, match="100"):
        memdb.replace(tree, now_s=0)
    assert 100 in listed(memdb)


@pytest.mark.parametrize("directory", ["qemu-server", "lxc", "openvz"])
def test_a_file_where_configurations_belong_is_refused(directory: str) -> None:
    tree = a_memdb("nodes/", "nodes/a/", f"nodes/a/{directory}").tree
    with pytest.raises(StorageError, match=f"nodes/a/{directory}.* is not a directory"):
        Memdb(tree, now_s=0)


def test_a_name_that_no_node_has_is_not_searched_for_guests() -> None:
    tree = a_memdb("nodes/", "nodes/a.b/", "nodes/a.b/lxc", "nodes/file").tree
    assert len(Memdb(tree, now_s=0).guests) == 0


def test_a_tree_that_is_refused_changes_nothing() -> None:
    refused = a_memdb("nodes/", "nodes/a/").tree
    node = refused.find(b"nodes/a")
    assert node is not None
    refused.put(Entry(Inode(9), node.inode, 9, 1, 1, EntryType.FILE, b"lxc"))
    memdb = a_memdb(*NODES, "nodes/a/lxc/100.conf")
    tree, guests, count = memdb.tree, listed(memdb), memdb.counters[b"user.cfg"]
    with pytest.raises(StorageError):
        memdb.replace(refused, now_s=0)
    assert (memdb.tree, listed(memdb), memdb.counters[b"user.cfg"]) == (tree, guests, count)


def test_a_guest_is_found_by_its_id() -> None:
    guests = a_memdb(*NODES, "nodes/a/lxc/100.conf").guests
    assert guests.get(100) == Guest(100, "a", "lxc", 1)
    assert guests.get(101) is None
