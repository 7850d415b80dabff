"""Rows of the database as entries and back, at the borders of their numbers."""

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Entry, EntryType, Inode
from pmxcfs.rows import Row, columns_of, entry_of, signed


def row(inode: int = 2, number: int = 7, type_number: int = 8, name: object = b"f") -> Row:
    return (inode, number, number, number, number, type_number, name, b"text")


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        (0, 0),
        (2**62, 2**62),
        (2**63 - 1, 2**63 - 1),
        (2**63, -(2**63)),
        (2**63 + 5, -(2**63) + 5),
        (2**64 - 1, -1),
    ],
)
def test_an_unsigned_number_is_stored_as_the_signed_one_with_its_bits(
    number: int, stored: int
) -> None:
    assert signed(number) == stored
    entry = Entry(Inode(2), Inode(number), number, 1, 1, EntryType.FILE, b"f")
    assert columns_of(entry)[:2] == (stored, stored)
    read = entry_of((stored, stored, stored, 1, 1, 8, b"f", None)) if number else None
    assert read is None or (read.inode, read.parent, read.version) == (number, number, number)


@pytest.mark.parametrize(
    ("stored", "small", "large"),
    [
        (2**31, 2**31, 2**31),
        (2**32 - 1, 2**32 - 1, 2**32 - 1),
        (2**32 + 5, 5, 2**32 + 5),
        (-1, 2**32 - 1, 2**64 - 1),
    ],
)
def test_numbers_are_cut_to_their_width(stored: int, small: int, large: int) -> None:
    entry = entry_of(row(number=stored))
    assert (entry.writer, entry.mtime) == (small, small)
    assert (entry.parent, entry.version) == (large, large)


@pytest.mark.parametrize(("stored", "expected"), [(8, 8), (4, 4), (256 + 8, 8), (-248, 8)])
def test_the_type_is_the_lowest_byte(stored: int, expected: int) -> None:
    assert entry_of(row(type_number=stored)).type == expected


@pytest.mark.parametrize("stored", [0, 1, 5, 9, 12, 16 + 8, 128 + 8, 255, 8 << 8, 4096])
def test_another_type_is_refused(stored: int) -> None:
    with pytest.raises(StorageError, match=f"unknown type {stored}$"):
        entry_of(row(type_number=stored))


def test_a_row_without_a_name_has_an_empty_one() -> None:
    assert entry_of(row(name=None)).name == b""
