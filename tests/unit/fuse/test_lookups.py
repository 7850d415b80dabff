"""The count of what the kernel knows."""

from pmxcfs.fuse.lookups import Lookups


def test_an_inode_is_known_until_every_answer_is_taken_back() -> None:
    lookups = Lookups()
    lookups.add(7, 1, b"a")
    lookups.add(7, 1, b"a")
    assert not lookups.remove(7, 1)
    assert 7 in lookups
    assert lookups.remove(7, 1)
    assert 7 not in lookups


def test_the_last_place_counts() -> None:
    lookups = Lookups()
    lookups.add(7, 1, b"a")
    lookups.add(7, 3, b"b")
    ((inode, known),) = lookups
    assert (inode, known.count, known.parent, known.name) == (7, 2, 3, b"b")


def test_the_root_is_never_counted() -> None:
    assert not Lookups().remove(1, 5)
