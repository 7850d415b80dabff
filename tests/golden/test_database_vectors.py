"""Databases that the reference wrote: they load, and ours look like them."""

import struct
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import apsw
import pytest

from pmxcfs.database import Database
from pmxcfs.memdb.entry import EntryType
from pmxcfs.memdb.index import index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Write

RECORDED = Path(__file__).parent / "vectors/db"
Row: TypeAlias = tuple[int, int, int, int, int, int, bytes, bytes]
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in RECORDED.glob("*.tar.xz"))


@pytest.fixture(params=NAMES)
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the directory of one recorded database, unpacked."""
    with tarfile.open(RECORDED / f"{request.param}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    (directory,) = tmp_path.iterdir()
    return directory


def test_a_recorded_database_loads_row_by_row(recorded: Path) -> None:
    database = Database.open(recorded / "config.db", now_s=0)
    tree = database.load()
    database.close()
    assert not database.was_new
    assert [tuple(row) for row in rows_of(recorded)] == [
        (
            entry.inode,
            entry.parent,
            entry.version,
            entry.writer,
            entry.mtime,
            entry.type if entry.inode else EntryType.FILE,
            entry.name or b"__version__",
            entry.data,
        )
        for entry in tree.entries()
    ]


def test_a_recorded_database_has_the_index_that_its_rows_say(recorded: Path) -> None:
    database = Database.open(recorded / "config.db", now_s=0)
    index = index_of(database.load()).encode()
    database.close()
    assert index == index_from_rows(rows_of(recorded))


def test_a_recorded_database_can_be_changed_and_read_again(recorded: Path) -> None:
    database = Database.open(recorded / "config.db", now_s=0)
    memdb = Memdb(database.load(), now_s=0)
    inode = memdb.tree.root.version + 1
    for operation in (Create(b"new"), Write(b"new", 0, b"text")):
        database.commit(memdb.apply(operation, 7, 1_700_000_000, 0).changes)
    database.close()
    before, after = rows_of(recorded), rows_in(recorded / "config.db")
    assert after[1:-1] == before[1:]
    assert after[-1] == (inode, 0, inode + 1, 7, 1_700_000_000, 8, b"new", b"text")
    assert after[0] == (0, 0, inode + 1, 7, 1_700_000_000, 8, b"__version__", b"")


def test_a_database_of_ours_is_declared_like_the_recorded_one(
    recorded: Path, tmp_path: Path
) -> None:
    ours = tmp_path / "ours.db"
    Database.open(ours, now_s=0).close()
    recorded_database = recorded / "config.db"
    Database.open(recorded_database, now_s=0).close()
    assert declaration_in(ours) == declaration_in(recorded_database)


def test_a_new_database_has_the_one_recorded_row(tmp_path: Path) -> None:
    Database.open(tmp_path / "config.db", now_s=1795366422).close()
    with tarfile.open(RECORDED / "L1-empty.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    assert rows_in(tmp_path / "config.db") == rows_of(tmp_path / "L1-empty")


def rows_of(recorded: Path) -> list[Row]:
    """Return what the recording says is in the database."""
    rows = []
    for line in (recorded / "rows.txt").read_bytes().splitlines():
        inode, parent, version, writer, mtime, type_, name, content = line.split(b"|")
        numbers = (int(inode), int(parent), int(version), int(writer), int(mtime), int(type_))
        rows.append((*numbers, name, bytes.fromhex(content.decode())))
    return rows


def rows_in(path: Path) -> list[Row]:
    connection = apsw.Connection(str(path))
    columns = "inode, parent, version, writer, mtime, type, CAST(name AS BLOB), data"
    rows = list(connection.execute(f"SELECT {columns} FROM tree ORDER BY inode"))
    connection.close()
    return [(*row[:7], row[7] or b"") for row in rows]


def declaration_in(path: Path) -> object:
    """Return what SQLite knows of the table, its settings and its checks."""
    connection = apsw.Connection(str(path))
    columns = list(connection.execute("PRAGMA table_info(tree)"))
    sql = str(connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'tree'").get)
    settings = [
        connection.pragma(name)
        for name in ("journal_mode", "encoding", "user_version", "application_id")
    ]
    indexes = list(connection.execute("PRAGMA index_list(tree)"))
    connection.close()
    return columns, settings, indexes, "".join(sql.split())


def index_from_rows(rows: list[Row]) -> bytes:
    """Return the index by the published format, without using any of our code."""
    entries = []
    for inode, parent, version, writer, mtime, type_, name, data in rows:
        if inode == 0:
            type_, name = 4, b""
        fields = struct.pack("<QIIIBQ", version, writer, mtime, len(data), type_, parent)
        entries.append(struct.pack("<Q", inode) + sha256(fields + name + data).digest())
    root, last = rows[0], rows[-1]
    size = 32 + 40 * len(rows)
    header = struct.pack("<QQIIII", root[2], last[0], root[3], root[4], len(rows), size)
    return header + b"".join(entries)
