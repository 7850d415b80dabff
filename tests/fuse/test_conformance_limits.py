"""Long names, deep paths, far offsets, and writes that the kernel cuts into pieces."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.calls import listed, put, refusal
from tests.fuse.daemon import Daemon

MEBIBYTE = 1024 * 1024
DEPTH = 150

NAMES = {
    "255 bytes": b"x" * 255,
    "1024 bytes": b"y" * 1024,
    "no UTF-8": b"\xff\xfe\x80name",
    "no UTF-8, 255 bytes": b"\xc3" * 255,
    "half a character": "näme".encode()[:2],
    "all bytes there are": bytes(set(range(1, 256)) - {ord("/")}),
    "a newline": b"first\nsecond",
    "spaces alone": b"  ",
    "a quote and a backslash": b"\"'\\",
    "three dots": b"...",
}


@contextlib.contextmanager
def opened(path: str | bytes | Path, flags: int, at: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o640, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", [pytest.param(name, id=what) for what, name in NAMES.items()])
def test_a_name_goes_through_every_call(place: Path, name: bytes) -> None:
    with opened(place, os.O_DIRECTORY) as here:
        with opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, here) as descriptor:
            os.write(descriptor, b"text")
        os.rename(name, b"plain", src_dir_fd=here, dst_dir_fd=here)
        os.mkdir(name, dir_fd=here)
        os.utime(name, (1, 7), dir_fd=here)
        os.rmdir(name, dir_fd=here)
        os.rename(b"plain", name, src_dir_fd=here, dst_dir_fd=here)
        with opened(name, os.O_RDONLY, here) as descriptor:
            assert os.read(descriptor, 10) == b"text"
        assert listed(os.fsencode(place)) == [name]
        os.unlink(name, dir_fd=here)
    assert listed(place) == []


def test_two_names_that_unicode_takes_for_one_are_two(place: Path) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    for name in (composed, decomposed, composed.upper()):
        (place / name).write_text(name)
    assert listed(place) == sorted([composed, decomposed, composed.upper()])
    assert (place / decomposed).read_text() == decomposed


def _descend(top: Path, name: Callable[[int], bytes], *, make: bool) -> int:
    """Return the descriptor of a directory DEPTH levels down, made on the way if it shall be."""
    here = os.open(top, os.O_DIRECTORY)
    for level in range(DEPTH):
        if make:
            os.mkdir(name(level), dir_fd=here)
        below = os.open(name(level), os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    return here


def _short_name(level: int) -> bytes:
    return b"level%d" % level


def _long_name(level: int) -> bytes:
    return b"%03d-" % level + b"n" * 250


def test_a_path_of_150_levels_goes_through_every_call(place: Path) -> None:
    os.close(_descend(place, _short_name, make=True))
    deep = place / "/".join(_short_name(level).decode() for level in range(DEPTH))
    (deep / "f").write_bytes(b"deep")
    (deep / "f").rename(place / "shallow")
    (place / "shallow").rename(deep / "g")
    os.truncate(deep / "g", 2)
    assert (deep / "g").read_bytes() == b"de"
    assert refusal(os.rmdir, deep) == errno.ENOTEMPTY
    (deep / "g").unlink()
    deep.rmdir()
    assert deep.parent.exists()


def test_a_path_longer_than_one_call_can_name_works_from_directory_to_directory(
    place: Path,
) -> None:
    here = _descend(place, _long_name, make=True)
    with opened(b"f", os.O_RDWR | os.O_CREAT | os.O_EXCL, here) as descriptor:
        os.write(descriptor, b"deep")
        os.ftruncate(descriptor, 2)
        assert os.pread(descriptor, 10, 0) == b"de"
    os.rename(b"f", b"g", src_dir_fd=here, dst_dir_fd=here)
    assert listed(here) == ["g"]
    os.close(here)


def test_a_deep_tree_and_strange_names_survive_a_restart(
    new_daemon: Callable[[], Daemon],
) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    here = _descend(daemon.mountpoint, _long_name, make=True)
    for name in NAMES.values():
        with opened(name, os.O_WRONLY | os.O_CREAT, here) as descriptor:
            os.write(descriptor, name)
    os.close(here)
    assert daemon.stop() == 0

    daemon.start("-l")
    here = _descend(daemon.mountpoint, _long_name, make=False)
    for name in NAMES.values():
        with opened(name, os.O_RDONLY, here) as descriptor:
            assert os.read(descriptor, 2000) == name
    os.close(here)
    assert daemon.stop() == 0
    assert daemon.complaints == []


FAR_OFFSETS = [MEBIBYTE, MEBIBYTE + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**62]


@pytest.mark.parametrize("offset", FAR_OFFSETS)
def test_beyond_a_mebibyte_nothing_is_written_and_nothing_read(place: Path, offset: int) -> None:
    file = place / "f"
    file.write_bytes(b"0123456789")
    assert refusal(put, file, b"x", offset) == errno.EFBIG
    assert refusal(os.truncate, file, offset + 1) == errno.EFBIG
    with opened(file, os.O_RDONLY) as descriptor:
        assert os.pread(descriptor, 100, offset) == b""
    assert file.read_bytes() == b"0123456789"


@pytest.mark.parametrize("offset", [0, 1, 4095, 4097, 100_001, MEBIBYTE - 3 * 131_072])
def test_a_write_of_many_pieces_arrives_whole(place: Path, offset: int) -> None:
    data = os.urandom(3 * 131_072 - 1)
    assert put(place / "f", data, offset, os.O_WRONLY | os.O_CREAT) == len(data)
    assert (place / "f").read_bytes() == bytes(offset) + data


@pytest.mark.parametrize("start", [0, 1, 4095, MEBIBYTE // 2 + 1, MEBIBYTE - 1])
@pytest.mark.parametrize("excess", [1, 4096, MEBIBYTE])
def test_a_write_across_the_limit_is_short_or_refused_and_says_which(
    place: Path, start: int, excess: int
) -> None:
    file = place / "f"
    file.write_bytes(b"a" * start)
    try:
        written = put(file, b"b" * (MEBIBYTE - start + excess), start)
    except OSError as refused:
        if refused.errno != errno.EFBIG:
            raise
        written = 0
    assert start + written <= MEBIBYTE
    assert file.read_bytes() == b"a" * start + b"b" * written


def test_an_append_that_reaches_the_limit_exactly_is_taken_and_the_next_is_not(
    place: Path,
) -> None:
    with opened(place / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND) as descriptor:
        for _ in range(8):
            assert os.write(descriptor, b"x" * 131_072) == 131_072
        assert refusal(os.write, descriptor, b"x") == errno.EFBIG
        assert os.write(descriptor, b"") == 0
    assert (place / "f").stat().st_size == MEBIBYTE


def test_pieces_scattered_over_buffers_are_gathered(place: Path) -> None:
    pieces = [bytes([number]) * (number * 3001) for number in range(1, 20)]
    with opened(place / "f", os.O_RDWR | os.O_CREAT) as descriptor:
        assert os.writev(descriptor, pieces) == sum(map(len, pieces))
        buffers = [bytearray(len(piece)) for piece in pieces]
        assert os.preadv(descriptor, buffers, 0) == sum(map(len, pieces))
    assert [bytes(buffer) for buffer in buffers] == pieces


def test_the_kernel_copies_from_and_to_the_mount(place: Path) -> None:
    data = os.urandom(300_000)
    (place / "source").write_bytes(data)
    with (
        opened(place / "source", os.O_RDONLY) as source,
        opened(place / "sent", os.O_WRONLY | os.O_CREAT) as sent,
        opened(place / "copied", os.O_WRONLY | os.O_CREAT) as copied,
    ):
        while os.sendfile(sent, source, None, MEBIBYTE):
            pass
        os.lseek(source, 0, os.SEEK_SET)
        while os.copy_file_range(source, copied, MEBIBYTE):
            pass
    assert (place / "sent").read_bytes() == data
    assert (place / "copied").read_bytes() == data


def test_seeking_finds_the_end_and_no_holes(place: Path) -> None:
    put(place / "f", b"x", 9999, os.O_WRONLY | os.O_CREAT)
    with opened(place / "f", os.O_RDONLY) as descriptor:
        assert os.lseek(descriptor, 0, os.SEEK_END) == 10_000
        assert os.lseek(descriptor, 0, os.SEEK_DATA) == 0
        assert os.lseek(descriptor, 0, os.SEEK_HOLE) == 10_000
        assert refusal(os.lseek, descriptor, 10_000, os.SEEK_DATA) == errno.ENXIO
