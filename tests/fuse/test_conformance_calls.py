"""What each call refuses for reasons of its own: one row of the table, one errno, all as root."""

# ruff: noqa: PTH101, PTH104, PTH106, PTH108, PTH115
# System calls as they are: the tables are about them.

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from errno import (
    EACCES,
    EBADF,
    EBUSY,
    EFBIG,
    EINVAL,
    EIO,
    EISDIR,
    ELOOP,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EOPNOTSUPP,
    EPERM,
    EXDEV,
)
from pathlib import Path

import pytest

from tests.fuse.conformance import Row, assert_refused_without_effect, furnish, table

MEBIBYTE = 1024 * 1024
ROOT = ".."
"""The root of the mount, seen from the furnished directory."""
NO_MOUNT = "/dev/shm"


def with_open(
    flags: int, call: Callable[[int], object], path: str = "file"
) -> Callable[[], object]:
    """Return a call on a descriptor of a file, which is closed afterwards."""

    def calling() -> object:
        descriptor = os.open(path, flags)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            return call(descriptor)

    return calling


DIRECTORIES = (
    Row("rmdir a full one", lambda: os.rmdir("full"), ENOTEMPTY, "there is something in it"),
    Row("rmdir .", lambda: os.rmdir("."), EINVAL, "the last name must not be ."),
    Row("rmdir ..", lambda: os.rmdir("full/.."), ENOTEMPTY, "the parent has a child"),
    Row("rmdir the root", lambda: os.rmdir(os.path.realpath(ROOT)), EBUSY, "it is mounted"),
    Row("unlink .", lambda: os.unlink("."), EISDIR, "rmdir removes directories"),
    Row("open without a name", lambda: os.open(".", os.O_RDWR | os.O_TMPFILE), EOPNOTSUPP, "no"),
)

RENAMES = (
    Row("from .", lambda: os.rename(".", "new"), EBUSY, "somebody may work in it"),
    Row("to .", lambda: os.rename("empty", "."), EBUSY, "somebody may work in it"),
    Row("from ..", lambda: os.rename("empty/..", "new"), EBUSY, "somebody may work in it"),
    Row(
        "from the root",
        lambda: os.rename(os.path.realpath(ROOT), os.path.realpath(ROOT) + "x"),
        EBUSY,
        "it is mounted",
    ),
    Row("into itself", lambda: os.rename("empty", "empty/new"), EINVAL, "it would hang in the air"),
    Row("below itself", lambda: os.rename("full", "full/a/b"), ENOENT, "there is no a"),
    Row("to its parent", lambda: os.rename("full/child", "full"), ENOTEMPTY, "it is in there"),
    Row("empty onto full", lambda: os.rename("empty", "full"), ENOTEMPTY, "what is in it"),
    Row("full onto empty", lambda: os.rename("full", "empty"), ENOTEMPTY, "only empty ones move"),
    Row("full to a new name", lambda: os.rename("full", "new"), ENOTEMPTY, "only empty ones move"),
    Row("to another mount", lambda: os.rename("file", f"{NO_MOUNT}/x"), EXDEV, "another mount"),
    Row(
        "a directory to another mount",
        lambda: os.rename("empty", f"{NO_MOUNT}/x"),
        EXDEV,
        "another mount",
    ),
    Row(
        "from a file of another mount",
        lambda: os.rename("/proc/version", "new"),
        EXDEV,
        "another mount",
    ),
    Row("a status file", lambda: os.rename("../.version", "new"), EACCES, "it is not in the tree"),
    Row("onto a status file", lambda: os.rename("file", "../.vmlist"), EACCES, "it would hide it"),
    Row("a link", lambda: os.rename("../local", "new"), EACCES, "it is not in the tree"),
    Row("onto a link", lambda: os.rename("file", "../lxc"), EACCES, "it would hide it"),
    Row("a directory onto a link", lambda: os.rename("empty", "../lxc"), ENOTDIR, "it is none"),
)

FILES = (
    Row("truncate to less than nothing", lambda: os.truncate("file", -1), EINVAL, "no such length"),
    Row("truncate above 1 MiB", lambda: os.truncate("file", MEBIBYTE + 1), EFBIG, "the limit"),
    Row("truncate to 4 GiB", lambda: os.truncate("file", 2**32), EFBIG, "32 bits would wrap"),
    Row("truncate to 4 GiB + 3", lambda: os.truncate("file", 2**32 + 3), EFBIG, "32 bits again"),
    Row("truncate to 8 EiB - 1", lambda: os.truncate("file", 2**63 - 1), EFBIG, "the limit"),
    Row(
        "ftruncate above 1 MiB",
        with_open(os.O_RDWR, lambda fd: os.ftruncate(fd, MEBIBYTE + 1)),
        EFBIG,
        "the limit",
    ),
    Row(
        "ftruncate to less than nothing",
        with_open(os.O_RDWR, lambda fd: os.ftruncate(fd, -1)),
        EINVAL,
        "no such length",
    ),
    Row(
        "ftruncate what is open to read",
        with_open(os.O_RDONLY, lambda fd: os.ftruncate(fd, 3)),
        EINVAL,
        "it is not open to write",
    ),
    Row(
        "write at 1 MiB",
        with_open(os.O_WRONLY, lambda fd: os.pwrite(fd, b"x", MEBIBYTE)),
        EFBIG,
        "the limit",
    ),
    Row(
        "write at 4 GiB",
        with_open(os.O_WRONLY, lambda fd: os.pwrite(fd, b"x", 2**32)),
        EFBIG,
        "32 bits would wrap",
    ),
    Row(
        "write before the beginning",
        with_open(os.O_WRONLY, lambda fd: os.pwrite(fd, b"x", -1)),
        EINVAL,
        "no such place",
    ),
    Row(
        "read before the beginning",
        with_open(os.O_RDONLY, lambda fd: os.pread(fd, 1, -1)),
        EINVAL,
        "no such place",
    ),
    Row(
        "write what is open to read",
        with_open(os.O_RDONLY, lambda fd: os.write(fd, b"x")),
        EBADF,
        "it is not open to write",
    ),
    Row(
        "read what is open to write",
        with_open(os.O_WRONLY, lambda fd: os.read(fd, 1)),
        EBADF,
        "it is not open to read",
    ),
    Row("read a directory", lambda: Path("full").read_bytes(), EISDIR, "it has no content"),
    Row("readlink a file", lambda: os.readlink("file"), EINVAL, "it is no link"),
    Row("readlink a directory", lambda: os.readlink("full"), EINVAL, "it is no link"),
    Row("execute a file", lambda: subprocess.run(["./file"], check=False), EACCES, "no x bit"),
    Row("link a file to another mount", lambda: os.link("file", f"{NO_MOUNT}/x"), EXDEV, "across"),
)

VIRTUAL = (
    Row("unlink a status file", lambda: os.unlink("../.version"), EACCES, "it is not in the tree"),
    Row("rmdir a status file", lambda: os.rmdir("../.version"), ENOTDIR, "it is a file"),
    Row("unlink a link", lambda: os.unlink("../local"), EACCES, "it is not in the tree"),
    Row("rmdir a link", lambda: os.rmdir("../local"), ENOTDIR, "it is a link, whatever it names"),
    Row("cut a status file", lambda: os.truncate("../.members", 0), EIO, "it is made when read"),
    Row(
        "write a status file",
        with_open(os.O_WRONLY, lambda fd: os.write(fd, b"x"), "../.vmlist"),
        EIO,
        "it is made when read",
    ),
    Row("write the switch badly", lambda: Path("../.debug").write_bytes(b"2\n"), EIO, "0 or 1"),
    Row("write half a switch", lambda: Path("../.debug").write_bytes(b"1"), EIO, "a newline too"),
    Row("set a status file's time", lambda: os.utime("../.rrd", (1, 1)), EACCES, "it has none"),
    Row(
        "set a link's time",
        lambda: os.utime("../local", (1, 1), follow_symlinks=False),
        EACCES,
        "it has none",
    ),
    Row("set the root's time", lambda: os.utime(ROOT, (1, 1)), EACCES, "no row to keep it in"),
    Row("chmod the root", lambda: os.chmod(ROOT, 0o755), EPERM, "0640 is what all accept"),
    Row(
        "open a link itself",
        lambda: os.open("../local", os.O_RDONLY | os.O_NOFOLLOW),
        ELOOP,
        "O_NOFOLLOW refuses links",
    ),
    Row(
        "open a link itself as a directory",
        lambda: os.open("../local", os.O_DIRECTORY | os.O_NOFOLLOW),
        ENOTDIR,
        "a link is no directory",
    ),
)


@pytest.fixture
def here(place: Path, mount: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a furnished directory, which is also the working directory."""
    furnish(place, mount)
    monkeypatch.chdir(place)
    yield place
    assert not Path(f"{NO_MOUNT}/x").exists()


@pytest.mark.parametrize("row", table(DIRECTORIES))
def test_directories_that_stay_and_files_that_cannot_be(here: Path, row: Row) -> None:
    assert_refused_without_effect(row, here)


@pytest.mark.parametrize("row", table(RENAMES))
def test_a_rename_is_refused(here: Path, row: Row) -> None:
    assert_refused_without_effect(row, here)


@pytest.mark.parametrize("row", table(FILES))
def test_a_call_on_a_file_is_refused(here: Path, row: Row) -> None:
    assert_refused_without_effect(row, here)


@pytest.mark.parametrize("row", table(VIRTUAL))
def test_a_virtual_object_refuses(here: Path, row: Row) -> None:
    assert_refused_without_effect(row, here)
