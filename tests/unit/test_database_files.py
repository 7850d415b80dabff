"""Whether the database's files are still where they were opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pmxcfs.database_files import DatabaseFiles
from pmxcfs.errors import StorageError, TemporaryStorageError

LONG_AGO_NS = 1_700_000_000 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    for ending in ("", "-wal", "-shm"):
        (directory / f"config.db{ending}").touch()
    os.utime(directory, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return directory / "config.db"


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    other.rename(path)


def _move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("act", [_remove, _replace, _move_directory])
@pytest.mark.parametrize("looked_before", [False, True])
def test_files_that_are_not_there_any_more_are_noticed(
    path: Path, act: Callable[[Path], None], looked_before: bool
) -> None:
    files = DatabaseFiles(path)
    if looked_before:
        files.check()
    act(path)
    with pytest.raises(StorageError, match="while it is in use"):
        files.check()
    files.close()


def test_a_directory_that_changed_within_a_tick_is_looked_at_again(path: Path) -> None:
    files = DatabaseFiles(path)
    path.with_name("else").touch()
    files.check()
    state = path.parent.stat()
    _remove(path)
    os.utime(path.parent, ns=(state.st_mtime_ns, state.st_mtime_ns))  # the same tick
    with pytest.raises(StorageError, match=r"config\.db is gone"):
        files.check()
    files.close()


def test_as_long_as_nothing_changed_there_one_look_at_the_directory_is_enough(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DatabaseFiles(path)
    files.check()
    monkeypatch.setattr(files, "_check_each", lambda: pytest.fail("looked at each"))
    files.check()
    files.close()


def test_the_room_that_is_left_may_be_used_to_the_last_byte(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DatabaseFiles(path)
    state = os.statvfs(path.parent)
    monkeypatch.setattr("os.statvfs", lambda directory: state)
    free_bytes = state.f_bfree * state.f_frsize
    files.check_room(free_bytes)
    with pytest.raises(TemporaryStorageError, match=f"{free_bytes} bytes left"):
        files.check_room(free_bytes + 1)
    files.close()


def test_a_file_system_that_does_not_tell_its_room_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(directory: str) -> os.statvfs_result:
        raise OSError(5, "Input/output error")

    files = DatabaseFiles(path)
    monkeypatch.setattr("os.statvfs", fail)
    with pytest.raises(StorageError, match=r"cannot look at .*state: Input/output error"):
        files.check_room(1)
    files.close()
