"""Rules of single calls on the real mount: what they return, and what they leave alone."""

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import listed, put, refusal
from tests.fuse.daemon import Daemon

DT_UNKNOWN, DT_DIR, DT_REG = 0, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = ctypes.c_void_p
_libc.readdir.argtypes = _libc.closedir.argtypes = [ctypes.c_void_p]


class _Dirent(ctypes.Structure):
    _fields_ = (
        ("inode", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("length", ctypes.c_ushort),
        ("type", ctypes.c_ubyte),
        ("name", ctypes.c_char * 256),
    )


_libc.readdir.restype = ctypes.POINTER(_Dirent)


def types_listed(directory: Path) -> dict[str, int]:
    """Return name and type of all that readdir(3) gives."""
    stream = _libc.opendir(os.fsencode(directory))
    assert stream, directory
    found = {}
    while entry := _libc.readdir(stream):
        found[os.fsdecode(entry.contents.name)] = entry.contents.type
    _libc.closedir(stream)
    return found


@pytest.mark.parametrize("offset", [4, 5, 1024 * 1024, 2**32, 2**32 + 1, 2**62])
def test_reading_at_or_behind_the_end_gives_nothing(place: Path, offset: int) -> None:
    (place / "f").write_bytes(b"text")
    descriptor = os.open(place / "f", os.O_RDONLY)
    assert os.pread(descriptor, 10, offset) == b""
    os.close(descriptor)


def test_an_empty_write_and_one_of_nothing_behind_the_end_change_nothing(place: Path) -> None:
    (place / "f").write_bytes(b"text")
    assert put(place / "f", b"", 0) == 0
    assert put(place / "f", b"", 100) == 0
    assert (place / "f").read_bytes() == b"text"


def test_a_mebibyte_in_one_call_arrives_whole_and_is_cut_and_filled_again(place: Path) -> None:
    data = os.urandom(1024 * 1024)
    assert put(place / "f", data, 0, os.O_WRONLY | os.O_CREAT) == len(data)
    assert (place / "f").read_bytes() == data
    os.truncate(place / "f", 300_000)
    os.truncate(place / "f", 400_000)
    assert (place / "f").read_bytes() == data[:300_000] + bytes(100_000)


def test_writes_across_the_borders_of_requests_and_pages_arrive_whole(place: Path) -> None:
    expected = bytearray(400_000)
    put(place / "f", bytes(400_000), 0, os.O_WRONLY | os.O_CREAT)
    for offset, size in ((0, 1), (4095, 2), (131_071, 2), (131_000, 140_000), (399_999, 1)):
        data = os.urandom(size)
        assert put(place / "f", data, offset) == size
        expected[offset : offset + size] = data
    assert (place / "f").read_bytes() == expected


def test_an_open_for_writing_that_does_not_write_changes_nothing(daemon: Daemon) -> None:
    file = daemon.mountpoint / "opened"
    file.write_bytes(b"text")
    version = daemon.status()["tree_version"]
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_CREAT):
        os.close(os.open(file, flags, 0o777))
    assert daemon.status()["tree_version"] == version
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    file.unlink()


def test_the_mode_given_to_a_new_entry_is_ignored(place: Path) -> None:
    os.close(os.open(place / "f", os.O_WRONLY | os.O_CREAT, 0o7777))
    (place / "d").mkdir(0o700)
    assert (place / "f").stat().st_mode == stat.S_IFREG | 0o640
    assert (place / "d").stat().st_mode == stat.S_IFDIR | 0o755


def test_a_descriptor_of_a_creating_open_reads_and_writes(place: Path) -> None:
    descriptor = os.open(place / "f", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400)
    assert os.write(descriptor, b"text") == 4
    assert os.pread(descriptor, 10, 0) == b"text"
    os.close(descriptor)


def test_each_change_moves_the_tree_by_one_version(daemon: Daemon) -> None:
    mount = daemon.mountpoint

    def moved_by(change: object, *arguments: object) -> int:
        before = daemon.status()["tree_version"]
        assert callable(change)
        change(*arguments)
        return int(daemon.status()["tree_version"] - before)

    file, other, directory = mount / "v-file", mount / "v-other", mount / "v-dir"
    assert moved_by(os.mknod, file) == 1
    assert moved_by(put, file, b"text", 0) == 1
    assert moved_by(os.truncate, file, 2) == 1
    assert moved_by(os.utime, file, (1, 1)) == 1
    assert moved_by(file.chmod, 0o640) == 0
    assert moved_by(os.chown, file, 0, -1) == 0
    assert moved_by(os.rename, file, file) == 0
    assert moved_by(os.mkdir, directory) == 1
    assert moved_by(os.rename, file, other) == 1
    assert moved_by(other.read_bytes) == 0
    assert moved_by(os.unlink, other) == 1
    assert moved_by(os.rmdir, directory) == 1


def test_a_directory_is_not_touched_by_what_happens_in_it(place: Path) -> None:
    os.utime(place, (7, 7))
    (place / "f").write_bytes(b"x")
    (place / "d").mkdir()
    (place / "f").unlink()
    assert place.stat().st_mtime_ns // 10**9 == 7


def test_a_rename_sets_the_time_and_keeps_the_number(place: Path) -> None:
    (place / "f").touch()
    os.utime(place / "f", (7, 7))
    number = (place / "f").stat().st_ino
    (place / "f").rename(place / "g")
    assert (place / "g").stat().st_mtime > 7
    assert (place / "g").stat().st_ino == number


def test_writing_and_truncating_set_the_time_and_reading_does_not(place: Path) -> None:
    file = place / "f"
    changes: dict[int, Callable[[], object]] = {
        7: lambda: put(file, b"x", 0),
        8: lambda: os.truncate(file, 1),
    }
    for second, change in changes.items():
        file.touch()
        os.utime(file, (second, second))
        file.read_bytes()
        assert file.stat().st_atime == file.stat().st_mtime == second
        change()
        assert file.stat().st_mtime > second


def test_directories_have_two_links_no_size_and_no_blocks_files_one(place: Path) -> None:
    (place / "f").write_bytes(bytes(4097))
    found = place.stat()
    assert (found.st_nlink, found.st_size, found.st_blocks) == (2, 0, 0)
    (place / "d").mkdir()
    assert place.stat().st_nlink == 2
    found = (place / "f").stat()
    assert (found.st_nlink, found.st_size, found.st_blksize) == (1, 4097, 4096)


def test_nothing_in_the_mount_is_a_device(place: Path, mount: Path) -> None:
    (place / "f").touch()
    paths = (mount, place, place / "f", mount / "local", mount / ".version", mount / ".debug")
    assert {os.lstat(path).st_rdev for path in paths} == {0}


def test_a_listing_has_the_dots_and_the_type_of_every_entry(place: Path, mount: Path) -> None:
    (place / "d").mkdir()
    (place / "f").touch()
    found = types_listed(place)
    assert {name: found[name] for name in ("d", "f")} == {"d": DT_DIR, "f": DT_REG}
    assert found.keys() == {".", "..", "d", "f"}
    assert types_listed(mount).keys() >= {".", "..", "local", ".version", place.name}


def test_names_are_told_apart_byte_by_byte(place: Path) -> None:
    names = ["a", "A", "\u00e9", "e\u0301", "a.", " a", "..a", "-"]
    for number, name in enumerate(names):
        (place / name).write_bytes(b"%d" % number)
    assert [(place / name).read_bytes() for name in names] == [
        b"%d" % number for number in range(len(names))
    ]
    assert listed(place) == sorted(names)


def test_a_file_is_no_directory_on_the_way(place: Path) -> None:
    (place / "f").touch()
    for call in (os.stat, os.mkdir, os.unlink, os.mknod):
        assert refusal(call, place / "f" / "x") == errno.ENOTDIR
    assert refusal(os.rename, place / "f", place / "none" / "x") == errno.ENOENT
    assert refusal(os.rmdir, f"{place}/.") == errno.EINVAL


def test_the_mount_itself_is_not_removed_or_moved(mount: Path, place: Path) -> None:
    assert refusal(os.rmdir, mount) == errno.EBUSY
    assert refusal(os.rename, mount, place) in (errno.EBUSY, errno.EXDEV)
    assert refusal(os.rename, place, mount) in (errno.EBUSY, errno.EXDEV, errno.ENOTEMPTY)


def test_advisory_locks_work_between_the_programs_of_this_node(place: Path) -> None:
    (place / "f").touch()
    one, other = (os.open(place / "f", os.O_RDWR) for _ in range(2))
    fcntl.flock(one, fcntl.LOCK_EX)
    assert refusal(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB) == errno.EWOULDBLOCK
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process = os.fork()
    if process == 0:
        try:
            fcntl.lockf(os.open(place / "f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os._exit(0 if error.errno in (errno.EAGAIN, errno.EACCES) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    os.close(one)
    os.close(other)


@pytest.mark.parametrize(
    ("path", "right"),
    [("priv", 0o600), ("nodes/x/priv", 0o600), ("nodes/x/priv/d", 0o600), ("nodes/x", 0o640)],
)
def test_chmod_of_a_directory_follows_the_same_rule(mount: Path, path: str, right: int) -> None:
    (mount / path).mkdir(parents=True, exist_ok=True)
    before = (mount / path).stat().st_mode
    (mount / path).chmod(right)
    for wrong in (0o755, 0o700, 0o600 ^ 0o640 ^ right, 0o1000 | right):
        assert refusal((mount / path).chmod, wrong) == errno.EPERM
    assert (mount / path).stat().st_mode == before


def test_times_are_cut_to_32_bits(place: Path) -> None:
    (place / "f").touch()
    os.utime(place / "f", (0, 2**32 + 5))
    assert (place / "f").stat().st_mtime == 5
    os.utime(place / "f", (0, 2**32 - 1))
    assert (place / "f").stat().st_mtime == 2**32 - 1
