"""Putting a finished file or directory in its place: whole and on the disk, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmxcfs.errors import StorageError

LOGS_AND_INDEX = ("-wal", "-journal", "-shm")
"""What SQLite adds to the name of a database for the files that it keeps beside it."""


# What file systems such as those of memory sticks answer.
_WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """Yield a new directory beside a target, on the same file system; it is gone afterwards.

    Raises:
        StorageError: it can't be made.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix=".pmxcfs-db-", dir=target.parent))
    except OSError as error:
        raise StorageError(f"cannot write beside {target}: {error.strerror}") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def refuse_existing(target: Path) -> None:
    """Make sure that nothing would be overwritten, or taken for the log of a new database.

    Raises:
        StorageError: something of this name, or of one of the names that SQLite adds, is there.
    """
    for path in (target, *(target.with_name(target.name + end) for end in LOGS_AND_INDEX)):
        if path.exists() or path.is_symlink():
            raise StorageError(f"{path} exists; nothing is overwritten")


def publish(finished: Path, target: Path) -> None:
    """Give a finished file its name, unless something has that name.

    Raises:
        StorageError: the name is taken, or the disk failed.
    """
    try:
        _sync(finished)
        _name(finished, target)
        _sync(target.parent)
    except FileExistsError as error:
        raise StorageError(f"{target} exists; nothing is overwritten") from error
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error


def replace(finished: Path, target: Path) -> None:
    """Give a finished file its name, in place of what has that name.

    Raises:
        OSError: the disk failed.
    """
    _sync(finished)
    finished.rename(target)
    _sync(target.parent)


def _name(finished: Path, target: Path) -> None:
    """Rename a file, but never over another.

    Raises:
        FileExistsError: there is another.
    """
    try:
        os.link(finished, target)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        finished.rename(target)
    else:
        finished.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
