"""An entry as a row of the database, in the reference's form, and back; and the statements.

Source: docs/PROTOCOL.md, "Database".
"""

from typing import Any, TypeAlias

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, EntryType, Inode

Row: TypeAlias = tuple[Any, ...]

ROOT_NAME = b"__version__"
"""What the row of the root is called, which holds the version of the tree."""

CREATE_TABLE = """
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
SELECT = """
SELECT inode, parent, version, writer, mtime, type, CAST(name AS BLOB), CAST(data AS BLOB)
FROM tree ORDER BY inode
"""
INSERT = "INSERT INTO tree VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"
UPDATE = """
UPDATE tree SET parent = ?, version = ?, writer = ?, mtime = ?, type = ?, name = CAST(? AS TEXT)
WHERE inode = ?
"""
UPDATE_DATA = "UPDATE tree SET data = ? WHERE inode = ?"
DELETE = "DELETE FROM tree WHERE inode = ?"
PROBE = "UPDATE tree SET version = version WHERE inode = ?"

_U32 = 2**32 - 1
_U64 = 2**64 - 1
_U8 = 2**8 - 1


def entry_of(row: Row) -> Entry:
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


def columns_of(entry: Entry) -> tuple[int | bytes, ...]:
    """Return parent, version, writer, mtime, type and name as the entry's row has them."""
    is_root = entry.inode == ROOT_INODE
    return (
        signed(entry.parent),
        signed(entry.version),
        entry.writer,
        entry.mtime,
        EntryType.FILE if is_root else entry.type,
        ROOT_NAME if is_root else entry.name,
    )


def signed(number: int) -> int:
    """Return an unsigned 64-bit number as SQLite stores it."""
    return number if number < 2**63 else number - 2**64


def _check_version_row(name: bytes | None, data: bytes) -> None:
    if name != ROOT_NAME:
        raise StorageError(f"the row of inode 0 is called {name!r} and not {ROOT_NAME!r}")
    if data:
        raise StorageError(f"the row {ROOT_NAME!r} has content")
