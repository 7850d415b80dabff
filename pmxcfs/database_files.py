"""The files of the database: made, kept in their places, and brought to the disk.

While the database is open, only its write-ahead log may be opened here: closing any other of its
files would drop SQLite's locks.
"""

import os
import time
from pathlib import Path

import structlog

from pmxcfs.errors import StorageError, TemporaryStorageError

log = structlog.get_logger("database")

_MODE = 0o600

_TICK_NS = 50_000_000
"""Longer than any tick of a file system's clock on a local disk."""

_Identity = tuple[int, int]


def make_private(path: Path) -> None:
    """Make the file if it is missing, and let only its owner read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))
    except FileExistsError:
        path.chmod(_MODE)


def set_aside_an_orphaned_log(path: Path, now_s: int) -> None:
    """Keep a write-ahead log whose database is gone: SQLite would delete it.

    Raises:
        OSError: it can't be renamed.
    """
    orphan = path.with_name(path.name + "-wal")
    if path.stat().st_size or not orphan.exists() or not orphan.stat().st_size:
        return
    kept = orphan.with_name(f"{orphan.name}.{now_s}")
    orphan.rename(kept)
    log.warning("there was a write-ahead log without its database; it is kept", kept=kept)


class DatabaseFiles:
    """The file, its ``-wal`` and its ``-shm``, all of which exist while the database is open.

    Raises:
        OSError: one of them is missing.
    """

    def __init__(self, path: Path) -> None:
        self._directory = str(path.parent)
        self._log = f"{path}-wal"
        self._identity_of = {
            name: _identity(name) for name in (str(path), self._log, f"{path}-shm")
        }
        self._descriptor = os.open(self._log, os.O_RDONLY)
        self._seen_in_place: tuple[_Identity, int] | None = None

    def check_room(self, size_bytes: int) -> None:
        """See whether the file system that they are on has this much left.

        Raises:
            TemporaryStorageError: it has not.
            StorageError: it does not tell.
        """
        try:
            state = os.statvfs(self._directory)
        except OSError as error:
            raise StorageError(f"cannot look at {self._directory}: {error.strerror}") from error
        free_bytes = state.f_bfree * state.f_frsize
        if free_bytes < size_bytes:
            raise TemporaryStorageError(f"the disk has {free_bytes} bytes left")

    def check(self) -> None:
        """See whether somebody has removed or replaced one of them.

        It is enough to look at the directory if nothing was made, moved or removed there since all
        of them were in place. A directory's time has ticks, so one that is as good as now is not
        trusted.

        Raises:
            StorageError: what is written from now on would be lost.
        """
        directory = self._look_at_directory()
        if directory == self._seen_in_place:
            return
        self._check_each()
        is_settled = time.time_ns() - directory[1] > _TICK_NS
        self._seen_in_place = directory if is_settled else None

    def _look_at_directory(self) -> tuple[_Identity, int]:
        try:
            state = os.stat(self._directory)  # noqa: PTH116  (part of every commit)
        except OSError as error:
            raise StorageError(
                f"{self._directory} is gone ({error.strerror}) while it is in use"
            ) from error
        return (state.st_dev, state.st_ino), state.st_mtime_ns

    def _check_each(self) -> None:
        for name, identity in self._identity_of.items():
            try:
                is_ours = _identity(name) == identity
            except OSError as error:
                raise StorageError(
                    f"{name} is gone ({error.strerror}) while it is in use"
                ) from error
            if not is_ours:
                raise StorageError(f"{name} was replaced by another file while it is in use")

    def sync(self) -> None:
        """Return once all that was committed so far survives a loss of power. May take long.

        What is no longer in the log was brought into the file, and synced there, before.

        Raises:
            StorageError: it may not survive, nor may anything that is written later.
        """
        self.check()
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise StorageError(f"cannot sync {self._log}: {error.strerror}") from error

    def close(self) -> None:
        """Close what we have open."""
        os.close(self._descriptor)


def _identity(name: str) -> _Identity:
    state = os.stat(name)  # noqa: PTH116  (a Path takes four times as long)
    return state.st_dev, state.st_ino
