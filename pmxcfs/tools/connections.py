"""SQLite for the tools: files that are ours alone, and one way to copy what others have open."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import apsw

from pmxcfs import vetting
from pmxcfs.errors import StorageError

Row: TypeAlias = tuple[Any, ...]

BUSY_TIMEOUT_MS = 10_000


class PrivateConnection:
    """A connection to a database that nobody else uses, so that looking at it may change it.

    Every method raises StorageError where SQLite can't do it, in SQLite's words.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _open(path, apsw.SQLITE_OPEN_READWRITE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close(True)

    def schema_faults(self) -> list[str]:
        """Return what is wrong with the declarations; see ``vetting.schema_faults``."""
        try:
            return vetting.schema_faults(self._connection)
        except apsw.Error as error:
            raise _storage_error(error) from error

    def page_faults(self, at_most: int) -> list[str]:
        """Return what is wrong with the pages; see ``vetting.page_faults``."""
        try:
            return vetting.page_faults(self._connection, at_most)
        except apsw.Error as error:
            raise _storage_error(error) from error

    def page_count(self) -> int:
        """Return the length of the database, in pages."""
        return int(next(self.select("PRAGMA page_count"))[0])

    def select(self, statement: str) -> Iterator[Row]:
        """Yield rows one by one; those before a damaged place come out before the error."""
        try:
            yield from self._connection.execute(statement)
        except apsw.Error as error:
            raise _storage_error(error) from error

    def empty_log(self) -> None:
        """Bring what is in the write-ahead log into the file itself."""
        try:
            # Only a connection that has read something knows that there is a log.
            self._connection.pragma("schema_version")
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise _storage_error(error) from error


def copy_in_use(original: Path, copy: Path) -> None:
    """Copy a database that another process has open, all of one moment, through SQLite.

    Nothing of the original is written, not even its ``-shm``: a connection that may write that file
    would empty it wherever the other process has lost its locks, and might crash it.

    Raises:
        StorageError: it can't be read, or nobody has it open any more.
    """
    uri = f"file:{quote(os.fspath(original.absolute()))}?mode=ro&readonly_shm=1"
    source = _open(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        target = _open(copy, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            with target.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(-1)
        finally:
            target.close(True)
    except apsw.Error as error:
        raise _storage_error(error) from error
    finally:
        source.close(True)


def _open(path: Path | str, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        try:
            vetting.harden(connection)
        except apsw.Error:
            connection.close(True)
            raise
    except apsw.Error as error:
        raise _storage_error(error) from error
    return connection


def _storage_error(error: apsw.Error) -> StorageError:
    return StorageError(f"{type(error).__name__}: {error}")
