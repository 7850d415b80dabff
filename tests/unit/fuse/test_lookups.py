"""The count of what the kernel knows."""

from pmxcfs.fuse.lookups import Lookups
from pmxcfs.memdb.entry import Entry, EntryType, Inode

DIRECTORY, FILE = EntryType.DIRECTORY, EntryType.FILE


def test_an_inode_is_known_until_every_answer_is_taken_back() -> None:
    lookups = Lookups()
    lookups.add(7, FILE)
    lookups.add(7, FILE)
    assert not lookups.remove(7, 1)
    assert 7 in lookups
    assert list(lookups) == [7]
    assert lookups.remove(7, 1)
    assert 7 not in lookups


def test_the_last_type_that_was_told_counts() -> None:
    lookups = Lookups()
    lookups.add(7, FILE)
    assert lookups.is_known_as_other(7, DIRECTORY)
    lookups.add(7, DIRECTORY)
    assert not lookups.is_known_as_other(7, DIRECTORY)


def test_what_the_kernel_does_not_know_it_takes_for_nothing_else() -> None:
    assert not Lookups().is_known_as_other(1, DIRECTORY)


def test_the_root_is_never_counted() -> None:
    assert not Lookups().remove(1, 5)


def entry(inode: int, parent: int, name: bytes, kind: EntryType = FILE) -> Entry:
    return Entry(Inode(inode), Inode(parent), version=1, writer=0, mtime=1, type=kind, name=name)


def test_what_is_at_its_place_in_a_tree_that_was_replaced_is_the_same() -> None:
    lookups = Lookups()
    lookups.add(8, FILE, (Inode(0), b"f"))
    lookups.follow_tree({8: entry(7, 0, b"f")}.get)
    assert not lookups.is_other(8)
    assert lookups.generation(8) == 0


def test_what_is_in_a_directory_that_is_another_is_another_too() -> None:
    lookups = Lookups()
    lookups.add(8, DIRECTORY, (Inode(0), b"mine"))
    lookups.add(9, DIRECTORY, (Inode(7), b"qemu"))
    lookups.add(10, FILE, (Inode(8), b"conf"))
    theirs = {
        8: entry(7, 0, b"theirs", DIRECTORY),
        9: entry(8, 7, b"qemu", DIRECTORY),
        10: entry(9, 8, b"conf"),
    }
    lookups.follow_tree(theirs.get)
    assert [number for number in (8, 9, 10) if lookups.is_other(number)] == [8, 9, 10]
    assert [lookups.generation(number) for number in (8, 9, 10)] == [1, 1, 1]


def test_what_is_another_stays_so_until_it_is_handed_out_anew() -> None:
    lookups = Lookups()
    lookups.add(8, DIRECTORY, (Inode(0), b"mine"))
    lookups.add(9, FILE, (Inode(7), b"conf"))
    theirs = {8: entry(7, 0, b"theirs", DIRECTORY), 9: entry(8, 7, b"conf")}
    lookups.follow_tree(theirs.get)
    lookups.add(8, DIRECTORY, (Inode(0), b"theirs"))
    lookups.follow_tree(theirs.get)
    assert not lookups.is_other(8)
    assert lookups.is_other(9)
    assert lookups.generation(9) == 1
    lookups.add(9, FILE, (Inode(7), b"conf"))
    lookups.follow_tree(theirs.get)
    assert not lookups.is_other(9)


def test_an_inode_that_the_kernel_does_not_know_is_no_other() -> None:
    assert not Lookups().is_other(8)
