"""Every call, given every kind of path that it cannot work on: one row of the table, one errno.

All calls go as root, so no right is missing.
"""

# ruff: noqa: PTH101, PTH104, PTH106, PTH108, PTH208
# System calls as they are: the tables are about them.

import os
from collections.abc import Callable, Iterator
from errno import EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from functools import partial
from pathlib import Path

import pytest

from tests.fuse.conformance import Row, assert_refused_without_effect, furnish, table

WWW_DATA = 33

Calls = dict[str, Callable[[str], object]]

EXISTING: Calls = {
    "open to read": lambda path: os.open(path, os.O_RDONLY),
    "open to write": lambda path: os.open(path, os.O_WRONLY),
    "open to empty": lambda path: os.open(path, os.O_WRONLY | os.O_TRUNC),
    "open as a directory": lambda path: os.open(path, os.O_RDONLY | os.O_DIRECTORY),
    "open a place": lambda path: os.open(path, os.O_PATH),
    "stat": os.stat,
    "lstat": os.lstat,
    "statvfs": os.statvfs,
    "listdir": os.listdir,
    "readlink": os.readlink,
    "chdir": os.chdir,
    "truncate": lambda path: os.truncate(path, 3),
    "chmod": lambda path: os.chmod(path, 0o640),
    "chown": lambda path: os.chown(path, 0, WWW_DATA),
    "utimensat": lambda path: os.utime(path, (1, 1)),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "rename from": lambda path: os.rename(path, "renamed"),
}
"""Calls on something that must be there."""

MAKING: Calls = {
    "creat": lambda path: os.open(path, os.O_WRONLY | os.O_CREAT),
    "creat exclusively": lambda path: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "mkdir": os.mkdir,
    "mknod": os.mknod,
    "rename to": lambda path: os.rename("other", path),
}
"""Calls that put something where nothing is."""

EXCLUSIVE: Calls = {name: MAKING[name] for name in ("creat exclusively", "mkdir", "mknod")}
"""Calls that never take what is there already."""

LEADING_NOWHERE = (
    ("below a missing directory", "missing/x", ENOENT),
    ("below a file", "file/x", ENOTDIR),
    ("below a status file", "/.version/x", ENOTDIR),
    ("below a virtual link to nothing", "/openvz/x", ENOENT),
    ("through 41 links", "/" + "local/../../" * 41 + "x", ELOOP),
    ("by a path of 4096 bytes", "./" * 2048, ENAMETOOLONG),
    ("by no path at all", "", ENOENT),
)
LAST_MISSING = (("under a missing name", "missing", ENOENT),)
TOO_LONG = (("under a name of 1025 bytes", "n" * 1025, ENAMETOOLONG),)
"""What no kernel could list shall not come into being."""

THERE = ("file", "empty", "full", "/local", "/openvz", "/.version", "/nodes")


def _product(
    calls: Calls, places: tuple[tuple[str, str, int], ...]
) -> Iterator[tuple[str, Callable[[str], object], str, int]]:
    for name, call in calls.items():
        for place, path, expected in places:
            yield f"{name} {place}", call, path, expected


NOWHERE = (
    *_product(EXISTING, LEADING_NOWHERE + LAST_MISSING),
    *_product(MAKING, LEADING_NOWHERE + TOO_LONG),
    *_product(EXCLUSIVE, tuple((f"over {path}", path, EEXIST) for path in THERE)),
)

KINDS = (
    Row(
        "open a directory to write",
        lambda: os.open("empty", os.O_WRONLY),
        EISDIR,
        "it has no content",
    ),
    Row(
        "open a directory to read and write",
        lambda: os.open("empty", os.O_RDWR),
        EISDIR,
        "it has no content",
    ),
    Row(
        "open a directory to empty",
        lambda: os.open("full", os.O_RDONLY | os.O_TRUNC),
        EISDIR,
        "emptying would remove what is in it",
    ),
    Row(
        "creat over a directory",
        lambda: os.open("empty", os.O_RDONLY | os.O_CREAT),
        EISDIR,
        "O_CREAT asks for a file",
    ),
    Row(
        "creat a name with a slash",
        lambda: os.open("new/", os.O_WRONLY | os.O_CREAT),
        EISDIR,
        "the slash says that it is a directory",
    ),
    Row(
        "open a file as a directory",
        lambda: os.open("file", os.O_DIRECTORY),
        ENOTDIR,
        "O_DIRECTORY asks for a directory",
    ),
    Row("open a file with a slash", lambda: os.open("file/", os.O_RDONLY), ENOTDIR, "it is a file"),
    Row("list a file", lambda: os.listdir("file"), ENOTDIR, "only directories have names in them"),
    Row("go into a file", lambda: os.chdir("file"), ENOTDIR, "only directories can be worked in"),
    Row("truncate a directory", lambda: os.truncate("empty", 0), EISDIR, "it has no length"),
    Row("unlink a directory", lambda: os.unlink("empty"), EISDIR, "rmdir removes directories"),
    Row("unlink a file with a slash", lambda: os.unlink("file/"), ENOTDIR, "it is a file"),
    Row("rmdir a file", lambda: os.rmdir("file"), ENOTDIR, "unlink removes files"),
    Row(
        "rename a file onto a directory",
        lambda: os.rename("file", "empty"),
        EISDIR,
        "like replaces like",
    ),
    Row(
        "rename a directory onto a file",
        lambda: os.rename("empty", "file"),
        ENOTDIR,
        "like replaces like",
    ),
    Row(
        "rename a file to a name with a slash",
        lambda: os.rename("file", "new/"),
        ENOTDIR,
        "the slash says that it is a directory",
    ),
)


@pytest.fixture
def here(place: Path, mount: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a furnished directory, which is also the working directory."""
    furnish(place, mount)
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(
    ("call", "path", "expected"),
    [pytest.param(call, path, expected, id=what) for what, call, path, expected in NOWHERE],
)
def test_a_path_that_a_call_cannot_work_on_is_refused(
    here: Path, mount: Path, call: Callable[[str], object], path: str, expected: int
) -> None:
    whole = f"{mount}{path}" if path.startswith("/") else path
    row = Row(path, partial(call, whole), expected, "the path cannot be followed to its end")
    assert_refused_without_effect(row, here)


@pytest.mark.parametrize("row", table(KINDS))
def test_a_file_is_no_directory_and_a_directory_no_file(here: Path, row: Row) -> None:
    assert_refused_without_effect(row, here)
