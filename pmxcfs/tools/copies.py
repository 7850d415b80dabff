"""Private copies of a database, made without changing a byte of the original or beside it.

Opening a database with SQLite is not harmless: whoever closes it as the last one empties and
removes the write-ahead log, and a daemon of the reference in the background has lost the locks that
would tell SQLite that it is still there. So the original is copied byte by byte, together with its
log, and the copy is accepted if nothing was written meanwhile. Only where another process does hold
SQLite's locks, SQLite makes the copy.
"""

import fcntl
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmxcfs.errors import StorageError
from pmxcfs.tools import connections

LOGS = ("-wal", "-journal")
"""What belongs to a database and holds changes that are not in its file yet."""

TRIES = 100
PAUSE_S = 0.05
"""Files younger than this may be changed again without a new time stamp."""

_FLOCK = struct.Struct("hh4xqqi4x")
_SHM_LIVES = 128  # SQLite: a shared lock on this byte of the -shm says that somebody uses it


@contextmanager
def private_copy(original: Path) -> Iterator[Path]:
    """Yield a copy that may be read and changed at will; it is gone afterwards.

    It lies in a directory of its own below ``$TMPDIR``, which only its owner can enter.

    Raises:
        StorageError: the original can't be read, or there is no room for the copy.
    """
    with tempfile.TemporaryDirectory(prefix="pmxcfs-db-") as directory:
        copy = Path(directory) / "config.db"
        copy_database(original, copy)
        yield copy


def copy_database(original: Path, copy: Path) -> None:
    """Copy a database with all that is committed; its log may lie beside the copy.

    Raises:
        StorageError: it can't be read or written, or is written to all the time.
    """
    for _ in range(TRIES):
        try:
            if _copy_through_sqlite(original, copy) or _copy_bytes(original, copy):
                return
        except OSError as error:
            raise StorageError(f"cannot copy {original}: {_reason(error)}") from error
        time.sleep(PAUSE_S)
    raise StorageError(f"{original} is written to all the time; stop the daemon, or try again")


def files_of(database: Path) -> list[Path]:
    """Return the database and its logs, those that exist."""
    paths = [database, *(_beside(database, suffix) for suffix in LOGS)]
    return [path for path in paths if path.exists()]


def _copy_through_sqlite(original: Path, copy: Path) -> bool:
    """Copy a database that is in use; return whether it was."""
    if not _is_in_use(original):
        return False
    try:
        connections.copy_in_use(original, copy)
    except StorageError as error:
        if not _is_in_use(original):  # its process has just ended
            return False
        raise StorageError(f"cannot copy {original}: {error}") from error
    return True


def _copy_bytes(original: Path, copy: Path) -> bool:
    """Copy the database and its logs; return whether they stayed as they were."""
    for old in files_of(copy):
        old.unlink()
    before = _stamps(original)
    for source in files_of(original):
        target = copy.with_name(copy.name + source.name.removeprefix(original.name))
        shutil.copyfile(source, target)
        target.chmod(0o600)
    return _stamps(original) == before and not _is_fresh(before)


def _stamps(original: Path) -> list[tuple[str, int, int, int]]:
    """Return name, inode, size and time stamp of each file.

    Raises:
        OSError: one of them can't be looked at.
    """
    stamps = [(path.name, path.stat()) for path in files_of(original) or [original]]
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stamps]


def _is_fresh(stamps: list[tuple[str, int, int, int]]) -> bool:
    now_ns = time.time_ns()
    return any(abs(now_ns - mtime_ns) < PAUSE_S * 1e9 for *_, mtime_ns in stamps)


def _is_in_use(original: Path) -> bool:
    """Whether another process holds the lock by which SQLite knows that a log is in use."""
    try:
        descriptor = os.open(_beside(original, "-shm"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _SHM_LIVES, 1, 0)
        answer = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return bool(answer[0] != fcntl.F_UNLCK)


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
