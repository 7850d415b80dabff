"""The database file: one table with a row for every entry, in the reference's form.

This is the only module that may open the file. A second SQLite library in the process, or anything
else that opens and closes the file or its ``-shm``, would drop the locks that keep outside readers
from deleting the write-ahead log under us.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import structlog

from pmxcfs import vetting
from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, EntryType, Inode, merged
from pmxcfs.memdb.tree import Tree

log = structlog.get_logger("database")

Row: TypeAlias = tuple[Any, ...]

BUSY_TIMEOUT_MS = 2000

_MODE = 0o600
_ROOT_NAME = b"__version__"
_U32 = 2**32 - 1
_U64 = 2**64 - 1
_U8 = 2**8 - 1

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS tree (
  inode INTEGER PRIMARY KEY NOT NULL,
  parent INTEGER NOT NULL CHECK(typeof(parent)=='integer'),
  version INTEGER NOT NULL CHECK(typeof(version)=='integer'),
  writer INTEGER NOT NULL CHECK(typeof(writer)=='integer'),
  mtime INTEGER NOT NULL CHECK(typeof(mtime)=='integer'),
  type INTEGER NOT NULL CHECK(typeof(type)=='integer'),
  name TEXT NOT NULL,
  data BLOB)
"""
# Names are bytes, which need not be UTF-8; the casts keep SQLite from looking at them.
_SELECT = """
SELECT inode, parent, version, writer, mtime, type, CAST(name AS BLOB), CAST(data AS BLOB)
FROM tree ORDER BY inode
"""
_INSERT = "INSERT INTO tree VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"
_UPDATE = """
UPDATE tree SET parent = ?, version = ?, writer = ?, mtime = ?, type = ?, name = CAST(? AS TEXT)
WHERE inode = ?
"""
_UPDATE_DATA = "UPDATE tree SET data = ? WHERE inode = ?"
_DELETE = "DELETE FROM tree WHERE inode = ?"

_SIGNS_OF_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.TooBigError)


class Database:
    """The open database. Not to be carried over a fork.

    Attributes:
        was_new: whether it had no rows when it was opened.

    Source: docs/PROTOCOL.md, "Database".
    """

    def __init__(
        self, connection: apsw.Connection, now_s: int, path: Path = Path(":memory:")
    ) -> None:
        self._connection = connection
        self._path = path
        self._execute(_CREATE_TABLE)
        self.was_new = not self._rows("SELECT 1 FROM tree LIMIT 1")
        self._is_pristine = self.was_new
        if self.was_new:
            row = (ROOT_INODE, ROOT_INODE, 1, 0, now_s, EntryType.FILE, _ROOT_NAME, None)
            self._execute(_INSERT, row)

    @classmethod
    def open(cls, path: Path, now_s: int) -> "Database":
        """Open the database, and make it if it is missing.

        Args:
            path: the file; ``-wal`` and ``-shm`` files appear beside it while it is open.
            now_s: the clock, seconds since 1970, for the stamp of a new database.

        Raises:
            StorageError: it cannot be opened or made, or is damaged, or no database of ours; then
                the sentence names the commands that show and repair it.
        """
        try:
            _make_private(path)
            _set_aside_an_orphaned_log(path, now_s)
            connection = apsw.Connection(str(path))
        except (OSError, apsw.Error) as error:
            raise StorageError(f"cannot open {path}: {error}") from error
        try:
            _vet(connection)
            _prepare(connection)
            return cls(connection, now_s, path)
        except (*_SIGNS_OF_DAMAGE, _DamageError) as error:
            connection.close(True)
            raise _refusal(path, error) from error
        except (apsw.Error, StorageError) as error:
            connection.close(True)
            raise StorageError(f"cannot use {path}: {error}") from error

    @classmethod
    def in_memory(cls, now_s: int = 0) -> "Database":
        """Return a new database that lives as long as this object."""
        return cls(apsw.Connection(":memory:"), now_s)

    def load(self) -> Tree:
        """Return the tree that the rows describe.

        Raises:
            StorageError: the rows cannot be read or describe no sound tree; the sentence says why,
                and names the commands that show and repair it.
        """
        try:
            tree = Tree.from_entries(map(_entry_of, self._rows(_SELECT)))
        except StorageError as error:
            raise self.refusal(error) from error
        if self._is_pristine:
            _forget_creation_time(tree)
        return tree

    def refusal(self, reason: StorageError) -> StorageError:
        """Return the refusal of this database for what was found in it, with what to do next."""
        return _refusal(self._path, reason)

    def commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction: all of them or, if that fails, none.

        Args:
            changes: in the order in which they were made; they may touch an inode repeatedly.

        Raises:
            StorageError: nothing was written.
        """
        try:
            self._execute("BEGIN IMMEDIATE")
            for change in merged(changes):
                self._write(change)
            self._execute("COMMIT")
        except StorageError:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise
        self._is_pristine = False

    def close(self) -> None:
        """Close the database; unless somebody else is reading it, one file is left.

        Raises:
            StorageError: the write-ahead log could not be brought into the file; it is left beside
                it, and nothing is lost.
        """
        try:
            self._connection.wal_checkpoint()
        except apsw.Error as error:
            raise StorageError(f"cannot empty the write-ahead log: {error}") from error
        finally:
            self._connection.close(True)

    def _write(self, change: Change) -> None:
        before, after = change.before, change.after
        if after is None:
            self._change_row(_DELETE, (_signed(change.inode),))
        elif before is None:
            self._execute(_INSERT, (_signed(after.inode), *_columns_of(after), after.data or None))
        else:
            self._change_row(_UPDATE, (*_columns_of(after), _signed(after.inode)))
            if before.data is not after.data and before.data != after.data:
                self._change_row(_UPDATE_DATA, (after.data or None, _signed(after.inode)))

    def _change_row(self, statement: str, values: Row) -> None:
        self._execute(statement, values)
        if self._connection.changes() != 1:
            raise StorageError(f"the row of inode {values[-1]} is gone")

    def _rows(self, statement: str) -> list[Row]:
        try:
            return self._connection.execute(statement).fetchall()
        except apsw.Error as error:
            raise StorageError(f"{type(error).__name__}: {error}") from error

    def _execute(self, statement: str, values: Row = ()) -> None:
        try:
            self._connection.execute(statement, values)
        except apsw.Error as error:
            raise StorageError(f"{type(error).__name__}: {error}") from error


class _DamageError(StorageError):
    """The file is no sound database of ours."""


def _refusal(path: Path, reason: Exception) -> StorageError:
    """Return an error that says what is wrong with the database and how to go on."""
    name = shlex.quote(str(path))
    return StorageError(
        f"cannot use {path}: {reason}. List all that is wrong: pmxcfs-db check {name}; "
        f"make a sound database from it: pmxcfs-db repair {name} NEW"
    )


def _vet(connection: apsw.Connection) -> None:
    """Look at the file before it is changed in any way.

    Raises:
        StorageError: it is damaged or somebody else's.
        apsw.Error: it cannot be read.
    """
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    vetting.harden(connection)
    if faults := vetting.schema_faults(connection):
        raise _DamageError("; ".join(faults))
    if faults := vetting.page_faults(connection):
        raise _DamageError(f"it is corrupt: {faults[0]}")
    has_rows = connection.pragma("page_count") <= vetting.PAGES_WITHOUT_ROWS or (
        connection.execute("SELECT 1 FROM tree LIMIT 1").get
    )
    if not has_rows:
        raise _DamageError("its table has no rows, and had some")


def _make_private(path: Path) -> None:
    """Make the file if it is missing, and let only its owner read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))
    except FileExistsError:
        path.chmod(_MODE)


def _set_aside_an_orphaned_log(path: Path, now_s: int) -> None:
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


def _prepare(connection: apsw.Connection) -> None:
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise StorageError(f"it has journal mode {mode!r} and cannot have a write-ahead log")
    connection.pragma("synchronous", "normal")


def _entry_of(row: Row) -> Entry:
    """Return the entry that a row describes; numbers are cut to their width.

    Raises:
        StorageError: the row describes no entry.
    """
    *numbers, name, content = row
    if not all(isinstance(number, int) for number in numbers):
        raise StorageError(f"the row of inode {row[0]} has something else among its numbers: {row}")
    inode, parent, version, writer, mtime, type_number = numbers
    try:
        entry_type = EntryType(type_number & _U8)
    except ValueError:
        raise StorageError(f"the row of inode {inode} has the unknown type {type_number}") from None
    data = content or b""
    if inode == ROOT_INODE:
        _check_version_row(name, data)
        parent, entry_type, name = ROOT_INODE, EntryType.DIRECTORY, b""
    return Entry(
        Inode(inode & _U64),
        Inode(parent & _U64),
        version & _U64,
        writer & _U32,
        mtime & _U32,
        entry_type,
        name or b"",
        len(data),
        data,
    )


def _check_version_row(name: bytes | None, data: bytes) -> None:
    if name != _ROOT_NAME:
        raise StorageError(f"the row of inode 0 is called {name!r} and not {_ROOT_NAME!r}")
    if data:
        raise StorageError(f"the row {_ROOT_NAME!r} has content")


def _columns_of(entry: Entry) -> tuple[int | bytes, ...]:
    """Return parent, version, writer, mtime, type and name as the entry's row has them."""
    is_root = entry.inode == ROOT_INODE
    return (
        _signed(entry.parent),
        _signed(entry.version),
        entry.writer,
        entry.mtime,
        EntryType.FILE if is_root else entry.type,
        _ROOT_NAME if is_root else entry.name,
    )


def _signed(number: int) -> int:
    """Return an unsigned 64-bit number as SQLite stores it."""
    return number if number < 2**63 else number - 2**64


def _forget_creation_time(tree: Tree) -> None:
    """Give the root of a new database the mtime 0 that the reference has until the first change."""
    tree.put(replace(tree.root, mtime=0))
