"""Where this file system deliberately is not POSIX: one row of the table, one test.

The table for readers is in docs/PROTOCOL.md, "Where this is not POSIX", and has the same rows.
All but the last two are differences of the reference too.
"""

# ruff: noqa: PTH101
# System calls as they are: the tables are about them.

import ctypes
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import refusal
from tests.fuse.conformance import furnish

MEBIBYTE = 1024 * 1024

WWW_DATA = 33
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def _modes_do_not_follow_from_the_call() -> None:
    os.close(os.open("made", os.O_WRONLY | os.O_CREAT, 0o777))
    Path("made-too").mkdir(0o700)
    assert stat.S_IMODE(Path("made").stat().st_mode) == 0o640
    assert stat.S_IMODE(Path("made-too").stat().st_mode) == 0o755


def _chmod_changes_nothing() -> None:
    assert refusal(os.chmod, "file", 0o600) == errno.EPERM
    assert refusal(os.chmod, "file", 0o1640) == errno.EPERM
    assert refusal(os.chmod, "full", 0o755) == errno.EPERM
    os.chmod("file", 0o640)
    os.chmod("full", 0o640)
    assert stat.S_IMODE(Path("full").stat().st_mode) == 0o755


def _chown_changes_nothing() -> None:
    assert refusal(os.chown, "file", 1, -1) == errno.EPERM
    assert refusal(os.chown, "file", 0, 0) == errno.EPERM
    os.chown("file", 0, WWW_DATA)


def _there_are_only_files_and_directories() -> None:
    assert refusal(os.symlink, "file", "link") == errno.ENOSYS
    assert refusal(os.link, "file", "link") == errno.EPERM
    for kind in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK):
        assert refusal(os.mknod, "node", kind | 0o600, os.makedev(1, 3)) == errno.ENOSYS


def _a_directory_with_entries_cannot_be_moved() -> None:
    assert refusal(os.rename, "full", "moved") == errno.ENOTEMPTY


def _a_vm_id_is_there_once() -> None:
    for node in ("first", "second"):
        Path(f"../nodes/{node}/lxc").mkdir(parents=True)
    Path("../nodes/first/lxc/7123.conf").touch()
    assert refusal(Path("../nodes/second/lxc/7123.conf").touch) == errno.EEXIST
    assert not Path("../nodes/second/lxc/7123.conf").exists()


def _a_lock_stays_where_it_is() -> None:
    lock = Path("../priv/lock/difference")
    lock.mkdir(parents=True)
    assert refusal(lock.rename, "elsewhere") == errno.EACCES
    assert refusal(os.utime, lock, (1, 1)) == errno.EACCES
    lock.rmdir()


def _a_file_ends_at_one_mebibyte() -> None:
    os.truncate("file", 1024 * 1024)
    assert refusal(os.truncate, "file", 1024 * 1024 + 1) == errno.EFBIG


def _names_may_be_longer_than_statvfs_says() -> None:
    assert os.statvfs(".").f_namemax == 256
    Path("n" * 1024).touch()
    assert Path("n" * 1024).exists()
    assert refusal(os.mkdir, "n" * 1025) == errno.ENAMETOOLONG


def _all_times_are_one_in_whole_seconds() -> None:
    os.utime("file", ns=(5_000_000_000, 1_900_000_000_999_999_999))
    found = Path("file").stat()
    assert found.st_atime_ns == found.st_mtime_ns == found.st_ctime_ns == 1_900_000_000_000_000_000


def _times_have_32_bits() -> None:
    os.utime("file", (0, 2**32 + 5))
    assert Path("file").stat().st_mtime == 5


def _one_time_alone_is_not_set() -> None:
    os.utime("file", (1, 1))
    times = (_Timespec * 2)(_Timespec(0, UTIME_OMIT), _Timespec(0, UTIME_NOW))
    assert _libc.utimensat(AT_FDCWD, b"file", times, 0) == 0
    assert Path("file").stat().st_mtime == 1


def _reading_sets_no_time() -> None:
    os.utime("file", (1, 1))
    Path("file").read_bytes()
    assert Path("file").stat().st_atime == 1


def _a_directory_keeps_its_time_when_names_come_and_go() -> None:
    os.utime("empty", (1, 1))
    Path("empty/new").touch()
    Path("empty/new").unlink()
    assert Path("empty").stat().st_mtime_ns // 10**9 == 1


def _a_moved_file_has_the_time_of_its_move() -> None:
    os.utime("file", (1, 1))
    Path("file").rename("moved")
    assert Path("moved").stat().st_mtime > 1


def _directories_count_no_links() -> None:
    Path("full/directory").mkdir()
    assert Path("full").stat().st_nlink == 2
    assert Path("full").stat().st_size == 0


def _blocks_are_counted_in_4096_bytes() -> None:
    Path("file").write_bytes(b"x" * 4097)
    assert Path("file").stat().st_blocks == 2


def _no_directory_takes_a_guests_place() -> None:
    Path("../nodes/place/lxc").mkdir(parents=True)
    guest = Path("../nodes/place/lxc/7124.conf")
    assert refusal(guest.mkdir) == errno.EINVAL
    assert refusal(Path("empty").rename, guest) == errno.EINVAL
    assert Path("empty").exists()
    assert not guest.exists()


def _two_contents_of_a_second_differ_by_nanoseconds() -> None:
    for turn in range(3):
        Path("file").write_bytes(b"%d" % turn)
        os.utime("file", (7, 7))
        assert Path("file").stat().st_mtime_ns == 7_000_000_000 + turn
        assert Path("file").stat().st_ctime_ns == 7_000_000_000


def _a_write_at_the_limit_is_short() -> None:
    descriptor = os.open("file", os.O_RDWR)
    assert os.pwrite(descriptor, b"xx", MEBIBYTE - 1) == 1
    assert refusal(os.pwrite, descriptor, b"x", MEBIBYTE) == errno.EFBIG
    assert os.fstat(descriptor).st_size == MEBIBYTE
    os.close(descriptor)


DIFFERENCES: dict[str, Callable[[], None]] = {
    "modes do not follow from the call": _modes_do_not_follow_from_the_call,
    "chmod changes nothing": _chmod_changes_nothing,
    "chown changes nothing": _chown_changes_nothing,
    "there are only files and directories": _there_are_only_files_and_directories,
    "a directory with entries cannot be moved": _a_directory_with_entries_cannot_be_moved,
    "a VM id is there once": _a_vm_id_is_there_once,
    "a lock stays where it is": _a_lock_stays_where_it_is,
    "a file ends at 1 MiB": _a_file_ends_at_one_mebibyte,
    "names may be longer than statvfs says": _names_may_be_longer_than_statvfs_says,
    "all times are one, in whole seconds": _all_times_are_one_in_whole_seconds,
    "times have 32 bits": _times_have_32_bits,
    "one time alone is not set": _one_time_alone_is_not_set,
    "reading sets no time": _reading_sets_no_time,
    "a directory keeps its time": _a_directory_keeps_its_time_when_names_come_and_go,
    "a moved file has the time of its move": _a_moved_file_has_the_time_of_its_move,
    "directories count no links": _directories_count_no_links,
    "blocks are counted in 4096 bytes": _blocks_are_counted_in_4096_bytes,
    "no directory takes a guest's place": _no_directory_takes_a_guests_place,
    "two contents of a second differ by nanoseconds": (
        _two_contents_of_a_second_differ_by_nanoseconds
    ),
    "a write at the limit is short": _a_write_at_the_limit_is_short,
}


@pytest.mark.parametrize(
    "difference", [pytest.param(check, id=name) for name, check in DIFFERENCES.items()]
)
def test_a_difference_from_posix_is_as_documented(
    place: Path,
    mount: Path,
    monkeypatch: pytest.MonkeyPatch,
    difference: Callable[[], None],
) -> None:
    furnish(place, mount)
    monkeypatch.chdir(place)
    difference()


def test_every_difference_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()
    section = text.partition("### Where this is not POSIX")[2].partition("\n#")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(DIFFERENCES)
