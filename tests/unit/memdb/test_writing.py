"""What a file holds after writes and truncations."""

import pytest

from pmxcfs.memdb.index import index_digest
from pmxcfs.memdb.operations import Create, Rename, SetMtime, Write
from tests.unit.memdb.scene import TIME, a_memdb, at, do, put


@pytest.mark.parametrize(
    ("old", "offset", "data", "truncate", "new"),
    [
        (b"", 0, b"abc", False, b"abc"),
        (b"", 2, b"abc", False, b"\0\0abc"),
        (b"", 2, b"abc", True, b"\0\0abc"),
        (b"12345", 0, b"ab", False, b"ab345"),
        (b"12345", 1, b"ab", False, b"1ab45"),
        (b"12345", 3, b"ab", False, b"123ab"),
        (b"12345", 3, b"abc", False, b"123abc"),
        (b"12345", 7, b"ab", False, b"12345\0\0ab"),
        (b"12345", 1, b"ab", True, b"1ab"),
        (b"12345", 3, b"ab", True, b"123ab"),
        (b"12345", 2, b"", True, b"12"),
        (b"12345", 0, b"", True, b""),
        (b"12345", 5, b"", True, b"12345"),
        (b"12345", 7, b"", True, b"12345\0\0"),
        (b"12345", 7, b"", False, b"12345\0\0"),
        (b"12345", 2, b"", False, b"12345"),
        (b"", 0, b"", True, b""),
    ],
)
def test_a_write_lays_its_data_over_the_old(
    old: bytes, offset: int, data: bytes, truncate: bool, new: bytes
) -> None:
    memdb = a_memdb("file")
    put(memdb, "file", old)
    assert do(memdb, Write(b"file", offset, data, truncate)).result == len(data)
    assert (at(memdb, "file").data, at(memdb, "file").size) == (new, len(new))


@pytest.mark.parametrize("emptied", [False, True])
def test_extending_a_file_without_content_gives_it_a_size_alone(emptied: bool) -> None:
    memdb = a_memdb("file")
    if emptied:
        put(memdb, "file", b"content")
        put(memdb, "file", b"")
    do(memdb, Write(b"file", 5, b"", truncate=True))
    assert (at(memdb, "file").size, at(memdb, "file").data) == (5, b"")
    assert memdb.tree.content_size_bytes == 5


def test_a_size_without_content_survives_until_the_next_data() -> None:
    memdb = a_memdb("file")
    do(memdb, Write(b"file", 5, b"", truncate=True))
    do(memdb, SetMtime(b"file", 1))
    do(memdb, Rename(b"file", b"moved"))
    assert (at(memdb, "moved").size, at(memdb, "moved").data) == (5, b"")
    do(memdb, Write(b"moved", 3, b"", truncate=True))
    assert (at(memdb, "moved").size, at(memdb, "moved").data) == (3, b"")
    do(memdb, Write(b"moved", 1, b"x"))
    assert (at(memdb, "moved").size, at(memdb, "moved").data) == (2, b"\0x")


def test_a_size_without_content_is_part_of_the_digest() -> None:
    memdb = a_memdb("file")
    before = index_digest(at(memdb, "file"))
    do(memdb, Write(b"file", 5, b"", truncate=True))
    entry = at(memdb, "file")
    assert index_digest(entry) != before
    put(memdb, "file", bytes(5))
    assert index_digest(at(memdb, "file")) != index_digest(entry)


def test_an_entry_is_stamped_with_the_operation_and_its_directory_is_not() -> None:
    memdb = a_memdb("d/")
    directory, version = at(memdb, "d"), memdb.tree.root.version
    memdb.apply(Create(b"d/f"), writer=7, time=TIME + 9, now_s=0)
    file = at(memdb, "d/f")
    assert (file.inode, file.version) == (version + 1, version + 1)
    assert (file.writer, file.mtime) == (7, TIME + 9)
    assert at(memdb, "d") == directory


def test_a_requested_mtime_becomes_the_trees_mtime_too() -> None:
    memdb = a_memdb("file")
    memdb.apply(SetMtime(b"file", 42), writer=1, time=TIME, now_s=0)
    assert at(memdb, "file").mtime == 42
    assert memdb.tree.root.mtime == 42
