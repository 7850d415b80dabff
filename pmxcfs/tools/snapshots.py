"""Taking a copy of a database while its daemon runs, and putting one back while it does not."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmxcfs.errors import StorageError
from pmxcfs.options import Options
from pmxcfs.tools import publishing
from pmxcfs.tools.connections import PrivateConnection
from pmxcfs.tools.copies import LOGS, copy_database, files_of
from pmxcfs.tools.publishing import LOGS_AND_INDEX, publish, refuse_existing, workshop

_MODE = 0o600
_MARK = ".unshared"  # says which changes of a database no other node may have


def take_snapshot(database: Path, target: Path) -> Path:
    """Write all that is committed to one new file; return its path.

    Args:
        database: its daemon may run.
        target: a new file, or a directory, where the file is named after the time (UTC).

    Raises:
        StorageError: it can't be read or written, or there is something of that name.
    """
    if target.is_dir():
        target = target / f"{database.name}.{_now()}"
    refuse_existing(target)
    with workshop(target) as directory:
        draft = directory / "config.db"
        _copy_as_one_file(database, draft)
        publish(draft, target)
    return target


def restore(snapshot: Path, database: Path) -> Path | None:
    """Put a copy in the place of a database; return where the old one is now, if there was one.

    The old one keeps its log, under its new name. A crash on the way leaves the old database,
    perhaps without its last changes, which are then in the one that is kept.

    Raises:
        StorageError: its daemon runs, or something can't be read or written.
    """
    with _no_daemon(database), workshop(database) as directory:
        draft = directory / "config.db"
        _copy_as_one_file(snapshot, draft)
        try:
            kept = _keep(database)
            # From here to the end the old database is without its log: a new database beside an
            # old log would be worse, SQLite would write the one into the other.
            for ending in (*LOGS_AND_INDEX, _MARK):
                _beside(database, ending).unlink(missing_ok=True)
            publishing.replace(draft, database)
        except OSError as error:
            raise StorageError(f"cannot replace {database}: {error}") from error
    return kept


def _copy_as_one_file(original: Path, copy: Path) -> None:
    copy_database(original, copy)
    try:
        with PrivateConnection(copy) as connection:
            connection.empty_log()
    except StorageError as error:
        raise StorageError(f"{original} is damaged: {error}; see pmxcfs-db check") from error
    if any(path != copy for path in files_of(copy)):
        raise StorageError(f"the log of {original} cannot be brought into its copy")
    copy.chmod(_MODE)


def _keep(database: Path) -> Path | None:
    """Give a database, its logs and its mark a second name.

    Raises:
        OSError: the disk failed, or the name is taken.
    """
    kept = database.with_name(f"{database.name}.{_now()}")
    present = [ending for ending in ("", *LOGS, _MARK) if _beside(database, ending).exists()]
    for ending in present:
        os.link(_beside(database, ending), _beside(kept, ending))
    return kept if present else None


@contextmanager
def _no_daemon(database: Path) -> Iterator[None]:
    """Hold the lock that a daemon needs to start.

    Raises:
        StorageError: a daemon holds it.
    """
    lock_file = Options(node_name="", state_dir=database.parent).lock_file
    try:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise StorageError(f"cannot open {lock_file}: {error.strerror}") from error
    try:
        _lock(descriptor, lock_file)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, lock_file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(f"its daemon runs and holds {lock_file}; stop it first") from error


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
