"""The count of what the kernel knows."""

from pmxcfs.fuse.lookups import Lookups
from pmxcfs.memdb.entry import EntryType

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
