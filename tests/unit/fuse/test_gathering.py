"""Which writes go together, in which order they are made, and what becomes of those that fail."""

from errno import EIO, ENOSPC

import pytest

from pmxcfs.fuse.gathering import BYTES_MAX, FAILURES_MAX, PIECES_MAX, Gathering
from pmxcfs.memdb.entry import Inode

A, B = Inode(1), Inode(2)


@pytest.fixture
def gathering() -> Gathering:
    return Gathering()


def write(gathering: Gathering, *writes: tuple[int, bytes], inode: Inode = A) -> None:
    for offset, data in writes:
        assert gathering.has_taken(inode, offset, data)


def pieces(gathering: Gathering, inode: Inode = A) -> list[tuple[int, bytes]]:
    """Make all that is held of a file, and return it."""
    made = []
    while (piece := gathering.begin(inode)) is not None:
        made.append((piece.offset, bytes(piece.data)))
        gathering.end(inode, 0)
    return made


def test_what_follows_each_other_is_one_piece(gathering: Gathering) -> None:
    write(gathering, (10, b"ab"), (12, b"cd"), (14, b"e"))
    assert pieces(gathering) == [(10, b"abcde")]


@pytest.mark.parametrize(
    ("offset", "data", "whole"),
    [
        (10, b"XY", b"XYcd"),
        (11, b"X", b"aXcd"),
        (13, b"XY", b"abcXY"),
        (10, b"UVWXYZ", b"UVWXYZ"),
        (12, b"", b"abcd"),
    ],
)
def test_what_is_written_over_is_not_made(
    gathering: Gathering, offset: int, data: bytes, whole: bytes
) -> None:
    write(gathering, (10, b"abcd"), (offset, data))
    assert gathering.size_bytes == len(whole)
    assert pieces(gathering) == [(10, whole)]


@pytest.mark.parametrize("offset", [9, 15])
def test_what_leaves_a_gap_or_begins_before_is_another_piece_in_its_order(
    gathering: Gathering, offset: int
) -> None:
    write(gathering, (10, b"abcd"), (offset, b"X"), (11, b"Y"))
    assert pieces(gathering)[:2] == [(10, b"abcd"), (offset, b"X")]
    assert gathering.size_bytes == 0


def test_one_piece_of_a_file_is_under_way_and_takes_no_more(gathering: Gathering) -> None:
    write(gathering, (0, b"one"))
    piece = gathering.begin(A)
    write(gathering, (3, b"two"), (6, b"three"))
    assert gathering.begin(A) is None
    assert piece is not None
    assert bytes(piece.data) == b"one"
    gathering.end(A, 0)
    assert pieces(gathering) == [(3, b"twothree")]


def test_files_have_nothing_to_do_with_each_other(gathering: Gathering) -> None:
    write(gathering, (0, b"a"))
    write(gathering, (1, b"b"), inode=B)
    assert gathering.inodes == [A, B]
    assert gathering.begin(A) is not None
    assert pieces(gathering, B) == [(1, b"b")]
    assert A in gathering
    assert B not in gathering


def test_who_waits_hears_when_what_was_held_then_is_over(gathering: Gathering) -> None:
    over: list[str] = []
    write(gathering, (0, b"a"))
    gathering.when_over(A, lambda: over.append("first"))
    write(gathering, (1, b"b"))
    gathering.when_over(A, lambda: over.append("second"))
    for expected in (["first"], ["first", "second"]):
        gathering.begin(A)
        for piece in gathering.end(A, 0):
            for call in piece.on_over:
                call()
        assert over == expected


def test_a_failure_takes_all_of_the_file_with_it_and_is_told_once(gathering: Gathering) -> None:
    write(gathering, (0, b"a"), (5, b"b"))
    write(gathering, (0, b"c"), inode=B)
    gathering.begin(A)
    assert [bytes(piece.data) for piece in gathering.end(A, EIO)] == [b"a", b"b"]
    assert A not in gathering
    assert gathering.size_bytes == 1
    assert gathering.taken_failure(B) == 0
    assert [gathering.taken_failure(A), gathering.taken_failure(A)] == [EIO, 0]


def test_the_first_failure_is_told(gathering: Gathering) -> None:
    for errno in (ENOSPC, EIO):
        write(gathering, (0, b"a"))
        gathering.begin(A)
        gathering.end(A, errno)
    assert gathering.taken_failure(A) == ENOSPC


def test_it_is_empty_when_nothing_is_held_and_nobody_is_to_be_told(gathering: Gathering) -> None:
    assert gathering.is_empty
    write(gathering, (0, b"a"))
    assert not gathering.is_empty
    gathering.begin(A)
    gathering.end(A, EIO)
    assert not gathering.is_empty
    gathering.taken_failure(A)
    assert gathering.is_empty


def test_failures_that_nobody_asks_for_are_bounded(gathering: Gathering) -> None:
    for number in range(FAILURES_MAX + 1):
        write(gathering, (0, b"a"), inode=Inode(number))
        gathering.begin(Inode(number))
        gathering.end(Inode(number), EIO)
    assert gathering.taken_failure(Inode(0)) == 0
    assert gathering.taken_failure(Inode(1)) == EIO


def test_what_is_held_is_bounded(gathering: Gathering) -> None:
    write(gathering, (0, bytes(BYTES_MAX - 1)))
    assert not gathering.has_taken(B, 0, b"ab")
    assert gathering.inodes == [A]
    write(gathering, (0, b"a"), inode=B)
    assert gathering.size_bytes == BYTES_MAX


def test_so_are_the_pieces_of_a_file(gathering: Gathering) -> None:
    write(gathering, *((2 * number, b"a") for number in range(PIECES_MAX)))
    assert not gathering.has_taken(A, 1000, b"a")


@pytest.mark.parametrize(
    ("writes", "content"),
    [
        ([], b"before"),
        ([(0, b"AB")], b"ABfore"),
        ([(8, b"x")], b"before\0\0x"),
        ([(4, b"XYZ"), (0, b"1")], b"1efoXYZ"),
    ],
)
def test_a_file_reads_as_if_all_was_made(
    gathering: Gathering, writes: list[tuple[int, bytes]], content: bytes
) -> None:
    write(gathering, *writes)
    assert gathering.laid_over(A, b"before") == content
