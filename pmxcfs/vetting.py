"""What a database file must look like before its rows are read.

A file that was damaged, or that somebody made to do harm, must end in a sentence: never in a query
without end, in code of its own that runs, or in a new and empty tree.

Source: docs/PROTOCOL.md, "Database".
"""

import re
from pathlib import Path

import apsw

TABLE = "tree"
COLUMNS = {
    "inode": "INTEGER",
    "parent": "INTEGER",
    "version": "INTEGER",
    "writer": "INTEGER",
    "mtime": "INTEGER",
    "type": "INTEGER",
    "name": "TEXT",
    "data": "BLOB",
}
"""The columns of the table in their order, with their declared types."""

PAGE_BYTES_MIN = 512

VALUE_BYTES_MAX = 128 * 1024 * 1024
"""No single value may be larger than the whole file system; SQLite would allow 1 GB."""

_SCHEMA = """
SELECT CAST(type AS BLOB), CAST(name AS BLOB), rootpage, CAST(sql AS BLOB) FROM sqlite_schema
"""
# Statistics that SQLite's ANALYZE leaves behind; they hold nothing that could be executed.
_STATISTICS = "sqlite_stat"
_DECLARATION_WORDS = COLUMNS.keys() | {
    *("create", "table", "not", TABLE),
    *("integer", "primary", "key", "null", "check", "typeof", "text", "blob"),
}


def pages_without_rows(page_bytes: int) -> int:
    """Return how many pages a database has at most that was made but never written to.

    They hold the schema, which takes two if they are as small as can be, and an empty table.
    """
    return 2 if page_bytes > PAGE_BYTES_MIN else 3


def harden(connection: apsw.Connection) -> None:
    """Let nothing that is stored in the file run or take more room than a tree can.

    Raises:
        apsw.Error: the file cannot be read.
    """
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    connection.execute("PRAGMA cell_size_check = 1")
    connection.execute("PRAGMA mmap_size = 0")


def schema_faults(connection: apsw.Connection) -> list[str]:
    """Return what is wrong with what the file declares; nothing for a file of zero bytes.

    A database of ours has one table and nothing else. Reads no row.

    Raises:
        apsw.Error: the schema cannot be read.
    """
    if not connection.pragma("page_count"):
        # SQLite takes a file of one byte for an empty one.
        path = connection.db_filename("main")
        return ["it has one byte"] if path and Path(path).stat().st_size else []
    if (encoding := connection.pragma("encoding")) != "UTF-8":
        return [f"it stores text as {encoding} and not as UTF-8"]
    objects = [
        (_text(kind), _text(name), root, _text(sql))
        for kind, name, root, sql in connection.execute(_SCHEMA)
    ]
    faults = [
        f"it has the {kind} {name!r}, which does not belong into it"
        for kind, name, _, _ in objects
        if (kind, name) != ("table", TABLE) and not _is_statistics(kind, name)
    ]
    declarations = [
        (root, sql) for kind, name, root, sql in objects if (kind, name) == ("table", TABLE)
    ]
    if not declarations:
        return [f"it has no table {TABLE!r}, as if it had been copied without its -wal", *faults]
    ((root, sql),) = declarations
    return _declaration_faults(connection, root, sql) + faults


def page_faults(connection: apsw.Connection, at_most: int = 1) -> list[str]:
    """Return what SQLite finds wrong with the pages of the file, in SQLite's words.

    Reads the whole file. To be called only where ``schema_faults`` found nothing.

    Args:
        connection: to the file.
        at_most: how many faults to look for; each can stand for many rows.

    Raises:
        apsw.Error: the file is damaged in a way that ends the search.
    """
    # The checks that a declaration has are left out: they would be evaluated for every row.
    connection.execute("PRAGMA ignore_check_constraints = 1")
    lines: list[str] = []
    try:
        for (text,) in connection.execute(f"PRAGMA quick_check({at_most})"):
            lines += str(text).splitlines()
    except apsw.CorruptError:
        if not lines:
            raise
    finally:
        connection.execute("PRAGMA ignore_check_constraints = 0")
    return [line for line in lines if line != "ok" and not line.startswith("*** in database")]


def _declaration_faults(connection: apsw.Connection, root: object, sql: str) -> list[str]:
    if not isinstance(root, int) or root <= 1:
        return [f"{TABLE!r} is no ordinary table"]
    if odd := sorted(set(re.findall(r"\w+", sql.lower())) - _DECLARATION_WORDS):
        return [f"the declaration of the table {TABLE!r} has odd words: {', '.join(odd)}"]
    rows = connection.execute(f"PRAGMA table_xinfo({TABLE})").fetchall()
    declared = {str(row[1]): str(row[2]).upper() for row in rows}
    faults = [f"the table {TABLE!r} lacks the column {name}" for name in COLUMNS.keys() - declared]
    if not faults and list(declared.items()) != list(COLUMNS.items()):
        faults.append(f"the columns of the table {TABLE!r} have other types or places")
    if not faults and [row[5] for row in rows] != [1, 0, 0, 0, 0, 0, 0, 0]:
        faults.append(f"the inode is not the primary key of the table {TABLE!r}")
    return sorted(faults)


def _is_statistics(kind: str, name: str) -> bool:
    return kind == "table" and name.startswith(_STATISTICS)


def _text(stored: bytes | None) -> str:
    return (stored or b"").decode(errors="backslashreplace")
