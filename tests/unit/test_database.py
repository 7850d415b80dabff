"""What ends up in the file, what is refused, and that a commit is all or nothing."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs

from pmxcfs import database as database_module
from pmxcfs import rows as rows_module
from pmxcfs.database import Database
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Change, Entry, EntryType, Inode
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree

NOW_S = 1_700_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database.open(path, NOW_S)
    yield opened
    opened.close()


def changes_of(memdb: Memdb, *operations: Operation) -> list[Change]:
    changes: list[Change] = []
    for operation in operations:
        outcome = memdb.apply(operation, 1, NOW_S + 5, 0)
        assert outcome.result >= 0, operation
        changes += outcome.changes
    return changes


def change(database: Database, memdb: Memdb, *operations: Operation) -> None:
    database.commit(changes_of(memdb, *operations))


def entries(tree: Tree) -> list[Entry]:
    return list(tree.entries())


def sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in another connection, and return the rows of the last."""
    connection = apsw.Connection(str(path))
    rows: list[tuple[object, ...]] = []
    for statement in statements:
        rows = list(connection.execute(statement))
    connection.close()
    return rows


def reopened(path: Path) -> Tree:
    database = Database.open(path, now_s=0)
    tree = database.load()
    database.close()
    return tree


def files_beside(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


# opening and closing


def test_a_new_database_is_stamped_but_its_root_has_no_time_until_the_first_change(
    path: Path, database: Database
) -> None:
    assert database.was_new
    assert entries(database.load()) == entries(Tree.new())
    assert sql(path, "SELECT * FROM tree") == [(0, 0, 1, 0, NOW_S, 8, "__version__", None)]
    memdb = Memdb(database.load(), now_s=0)
    change(database, memdb, Create(b"f"))
    assert database.load().root.mtime == NOW_S + 5
    assert entries(database.load()) == entries(memdb.tree)


def test_a_database_is_new_only_once(path: Path) -> None:
    Database.open(path, NOW_S).close()
    database = Database.open(path, NOW_S + 100)
    assert not database.was_new
    assert database.load().root.mtime == NOW_S
    database.close()


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    path.touch(mode=0o644)
    path.chmod(0o644)
    database = Database.open(path, NOW_S)
    change(database, Memdb(database.load(), 0), Create(b"f"))
    assert files_beside(path) == ["config.db", "config.db-shm", "config.db-wal"]
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    database.close()


def test_a_file_that_cannot_be_made_private_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()

    def fail(path: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", fail)
    with pytest.raises(StorageError, match=r"config\.db.*Operation not permitted"):
        Database.open(path, NOW_S)
    assert path.read_bytes() == b""


def test_closing_leaves_one_file_with_everything_in_it(path: Path) -> None:
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"), Write(b"f", 0, bytes(100_000)))
    database.close()
    assert files_beside(path) == ["config.db"]
    assert entries(reopened(path)) == entries(memdb.tree)


def test_closing_brings_everything_into_the_file_although_somebody_still_reads(
    path: Path,
) -> None:
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    reader = apsw.Connection(str(path))
    reader.execute("SELECT count(*) FROM tree").fetchall()
    change(database, memdb, Create(b"f"))
    database.close()
    alone = path.with_name("alone.db")
    alone.write_bytes(path.read_bytes())
    reader.close()
    assert entries(reopened(alone)) == entries(memdb.tree)


def test_the_connection_is_set_up_like_the_references(database: Database) -> None:
    connection = database._connection
    settings = ("journal_mode", "synchronous", "wal_autocheckpoint")
    assert [connection.pragma(name) for name in settings] == ["wal", 1, 1000]
    assert connection.pragma("busy_timeout") == 0, "the driver waits, and not the event loop"


def test_a_process_that_dies_loses_no_commit(path: Path) -> None:
    dying = f"""
import os
from pathlib import Path
from pmxcfs.database import Database
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create
database = Database.open(Path({str(path)!r}), 5)
database.commit(Memdb(database.load(), 0).apply(Create(b"f"), 1, 6, 0).changes)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", dying], check=True, cwd=Path(__file__).parents[2])
    assert "config.db-wal" in files_beside(path)
    assert [entry.name for entry in reopened(path).entries()] == [b"", b"f"]


def test_an_outside_reader_does_not_take_the_log_away(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"one"))
    assert outside_count(path) == 2
    assert "config.db-wal" in files_beside(path)
    change(database, memdb, Create(b"two"))
    assert outside_count(path) == 3


def outside_count(path: Path) -> int:
    """Return how many rows another program sees, which opens and closes the file."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "print(c.execute('SELECT count(*) FROM tree').fetchone()[0]); c.close()"
    )
    command = [sys.executable, "-c", program, str(path)]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


def test_an_empty_file_becomes_a_new_database(path: Path) -> None:
    path.touch()
    database = Database.open(path, NOW_S)
    assert database.was_new
    database.close()


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StorageError, match=r"cannot use .*config.db: .*not a database"):
        Database.open(path, NOW_S)


def test_a_place_where_no_file_can_be_is_refused(path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*No such file or directory"):
        Database.open(path / "below", NOW_S)
    path.mkdir()
    with pytest.raises(StorageError, match="cannot open"):
        Database.open(path, NOW_S)


def test_another_table_of_that_name_is_refused(path: Path) -> None:
    sql(path, "CREATE TABLE tree (x)", "INSERT INTO tree VALUES (1)")
    with pytest.raises(StorageError, match="odd words: x"):
        Database.open(path, NOW_S)


def test_a_damaged_page_is_refused(path: Path) -> None:
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    for number in range(200):
        change(database, memdb, Create(b"a file with a long name %d" % number))
    database.close()
    content = bytearray(path.read_bytes())
    content[4096 : 2 * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"malformed|corrupt"):
        reopened(path)


def test_a_log_without_its_database_is_kept(path: Path) -> None:
    orphan = path.with_name("config.db-wal")
    orphan.write_bytes(b"what was changed last")
    with capture_logs() as lines:
        Database.open(path, NOW_S).close()
    assert files_beside(path) == ["config.db", f"config.db-wal.{NOW_S}"]
    assert path.with_name(f"config.db-wal.{NOW_S}").read_bytes() == b"what was changed last"
    assert [line["log_level"] for line in lines] == ["warning"]


def test_an_empty_log_without_its_database_is_nothing_to_keep(path: Path) -> None:
    path.with_name("config.db-wal").touch()
    with capture_logs() as lines:
        Database.open(path, NOW_S).close()
    assert files_beside(path) == ["config.db"]
    assert lines == []


# rows


ROW = "INSERT INTO tree VALUES "

DAMAGE = [
    (["DELETE FROM tree WHERE inode = 0"], r"the root \(inode 0\) is missing"),
    (["UPDATE tree SET name = 'x' WHERE inode = 0"], "inode 0 is called b'x'"),
    (["UPDATE tree SET data = 'x' WHERE inode = 0"], "__version__.* has content"),
    (["UPDATE tree SET version = 0 WHERE inode = 0"], "out of range: 0"),
    (["UPDATE tree SET version = 1 WHERE inode = 0"], "above the version of the tree, 1"),
    (["UPDATE tree SET type = 10 WHERE inode = 2"], "inode 2 has the unknown type 10"),
    (["UPDATE tree SET name = '' WHERE inode = 2"], "inode 2 has no name"),
    (["UPDATE tree SET parent = 77 WHERE inode = 2"], "inode 77, is missing"),
    (["UPDATE tree SET data = 'x' WHERE inode = 3"], "is a directory and has content"),
    (["UPDATE tree SET name = 'f' WHERE inode = 3"], "have the same place"),
    (
        ["PRAGMA ignore_check_constraints = 1", "UPDATE tree SET mtime = 'x' WHERE inode = 2"],
        "inode 2 has something else among its numbers",
    ),
]


@pytest.mark.parametrize(("statements", "sentence"), DAMAGE)
def test_damaged_rows_are_refused_with_a_sentence(
    path: Path, statements: list[str], sentence: str
) -> None:
    database = Database.open(path, NOW_S)
    change(database, Memdb(database.load(), 0), Create(b"f"), Mkdir(b"d"))
    database.close()
    sql(path, *statements)
    with pytest.raises(StorageError, match=sentence):
        reopened(path)


def test_numbers_are_cut_to_their_width_like_in_the_reference(path: Path) -> None:
    Database.open(path, NOW_S).close()
    sql(
        path,
        "UPDATE tree SET version = 9, type = 4",
        f"{ROW} (2, 0, 5, {2**32 + 7}, {2**33 + 8}, 264, 'f', 'text')",
    )
    assert reopened(path).find(b"f") == Entry(
        Inode(2), Inode(0), 5, 7, 8, EntryType.FILE, b"f", 4, b"text"
    )


def test_a_file_above_the_limit_is_loaded_as_it_is(path: Path) -> None:
    Database.open(path, NOW_S).close()
    sql(
        path,
        "UPDATE tree SET version = 9",
        f"{ROW} (2, 0, 5, 0, 0, 8, 'f', zeroblob({FILE_SIZE_BYTES_MAX + 1}))",
    )
    entry = reopened(path).find(b"f")
    assert entry is not None
    assert (entry.size, entry.data) == (FILE_SIZE_BYTES_MAX + 1, bytes(FILE_SIZE_BYTES_MAX + 1))


def test_text_and_empty_content_are_read_as_bytes(path: Path) -> None:
    Database.open(path, NOW_S).close()
    sql(
        path,
        "UPDATE tree SET version = 9",
        f"{ROW} (2, 0, 5, 0, 0, 8, 'text', 'gr\xfcn')",
        f"{ROW} (3, 0, 5, 0, 0, 8, 'blob', x'00ff')",
        f"{ROW} (4, 0, 5, 0, 0, 8, 'empty', x'')",
        f"{ROW} (5, 0, 5, 0, 0, 4, 'directory', x'')",
    )
    contents = {entry.name: entry.data for entry in reopened(path).entries()}
    assert contents == {
        b"": b"",
        b"text": "gr\xfcn".encode(),
        b"blob": b"\x00\xff",
        b"empty": b"",
        b"directory": b"",
    }


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x80", "gr\xfcn".encode(), b"'; --", b"a\nb"])
def test_a_name_is_kept_byte_by_byte_and_stored_as_text(path: Path, name: bytes) -> None:
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"before"), Rename(b"before", name), Mkdir(b"d" + name))
    database.close()
    assert entries(reopened(path)) == entries(memdb.tree)
    rows = sql(path, "SELECT typeof(name), CAST(name AS BLOB) FROM tree WHERE inode = 2")
    assert rows == [("text", name)]


def test_a_directory_and_an_empty_file_have_no_content_in_their_rows(
    path: Path, database: Database
) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Mkdir(b"d"), Create(b"f"), Write(b"f", 0, b"x"))
    change(database, memdb, Write(b"f", 0, b"", truncate=True), SetMtime(b"d", 1))
    assert sql(path, "SELECT DISTINCT data FROM tree") == [(None,)]


def test_a_size_without_content_is_stored_as_no_content(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"), Write(b"f", 9, b"", truncate=True))
    assert sql(path, "SELECT data FROM tree WHERE inode = 2") == [(None,)]
    loaded = database.load().find(b"f")
    assert loaded is not None
    assert loaded.size == 0


def test_content_that_did_not_change_is_not_written(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"), Write(b"f", 0, b"text"))
    sql(path, "UPDATE tree SET data = CAST(data AS TEXT) WHERE inode = 2")
    change(database, memdb, SetMtime(b"f", 1), Rename(b"f", b"g"), Write(b"g", 0, b"text"))
    assert sql(path, "SELECT typeof(data) FROM tree WHERE inode = 2") == [("text",)]
    change(database, memdb, Write(b"g", 0, b"TEXT"))
    assert sql(path, "SELECT typeof(data) FROM tree WHERE inode = 2") == [("blob",)]


def test_a_small_change_of_a_large_file_writes_few_pages(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"), Write(b"f", 0, bytes(1_000_000)))
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    change(database, memdb, SetMtime(b"f", NOW_S + 9))  # as long as the old mtime in its row
    change(database, memdb, Write(b"f", 500_000, b"x"))
    assert path.with_name("config.db-wal").stat().st_size < 8 * 4096


def test_a_small_change_writes_little(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    for number in range(100):
        change(database, memdb, Create(b"%d" % number), Write(b"%d" % number, 0, b"name: x\n"))
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    change(database, memdb, Write(b"50", 0, b"name: y\n"))
    assert path.with_name("config.db-wal").stat().st_size <= 32 + 2 * (24 + 1024)


def test_a_database_that_is_there_keeps_its_page_size(path: Path, database: Database) -> None:
    old = path.with_name("old.db")
    sql(old, "PRAGMA page_size = 4096", rows_module.CREATE_TABLE)
    opened = Database.open(old, NOW_S)
    change(opened, Memdb(opened.load(), 0), Create(b"f"))
    opened.close()
    assert sql(old, "PRAGMA page_size") == [(4096,)]
    assert sql(path, "PRAGMA page_size") == [(1024,)]


# commits


def test_a_batch_is_merged_to_what_remains(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"old"))
    batch = (
        Create(b"new"),
        Write(b"new", 0, b"one"),
        Write(b"new", 0, b"two"),
        Create(b"brief"),
        Delete(b"brief"),
        Delete(b"old"),
        Rename(b"new", b"old"),
    )
    change(database, memdb, *batch)
    assert entries(database.load()) == entries(memdb.tree)
    assert [row[0] for row in sql(path, "SELECT inode FROM tree")] == [0, 3]


def test_the_trace_of_a_refused_rename_reaches_the_rows(path: Path, database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Mkdir(b"full"), Create(b"full/f"), Mkdir(b"empty"))
    database.commit(memdb.apply(Rename(b"full", b"empty"), 1, NOW_S, 0).changes)
    change(database, memdb, Mkdir(b"empty"))
    assert entries(database.load()) == entries(memdb.tree)


def test_nothing_to_commit_is_no_change(path: Path, database: Database) -> None:
    before = sql(path, "SELECT * FROM tree")
    database.commit([])
    assert sql(path, "SELECT * FROM tree") == before


def misfits() -> list[Change]:
    entry = Entry(Inode(2), Inode(0), 9, 1, 1, EntryType.FILE, b"f")
    stranger = replace(entry, inode=Inode(77))
    return [Change(None, entry), Change(stranger, stranger), Change(stranger, None)]


@pytest.mark.parametrize("misfit", misfits(), ids=["insert", "update", "delete"])
def test_a_batch_with_one_misfit_writes_nothing(database: Database, misfit: Change) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"untouched"), Create(b"f"))
    before = entries(memdb.tree)
    batch = changes_of(memdb, Write(b"f", 0, b"y"), Create(b"g"))
    with pytest.raises(StorageError, match=r"UNIQUE|inode 77 is gone"):
        database.commit([*batch, misfit])
    assert entries(database.load()) == before
    memdb.revert(batch, now_s=0)
    change(database, memdb, Create(b"h"))
    assert entries(database.load()) == entries(memdb.tree)


def test_a_locked_database_refuses_at_once_and_takes_changes_again_later(
    path: Path, database: Database
) -> None:
    memdb = Memdb(database.load(), 0)
    changes = changes_of(memdb, Create(b"f"))
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    start_s = time.monotonic()
    attempts: list[Callable[[], None]] = [lambda: database.commit(changes), database.probe]
    for attempt in attempts:
        with pytest.raises(TemporaryStorageError, match="BusyError"):
            attempt()
    assert time.monotonic() - start_s < 1
    other.execute("ROLLBACK")
    other.close()
    database.probe()
    database.commit(changes)
    assert entries(database.load()) == entries(memdb.tree)


def test_a_full_disk_refuses_and_leaves_the_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"))
    before = entries(memdb.tree)
    database._connection.pragma("max_page_count", 10)
    changes = changes_of(memdb, Write(b"f", 0, bytes(500_000)))
    with pytest.raises(TemporaryStorageError, match="full"):
        database.commit(changes)
    assert entries(database.load()) == before
    assert not database._connection.in_transaction
    database.probe()
    database._connection.pragma("max_page_count", 1000)
    database.commit(changes)
    assert entries(database.load()) == entries(memdb.tree)


def test_a_disk_that_was_full_has_to_have_room_for_more_than_a_test(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    memdb = Memdb(database.load(), 0)
    database._connection.pragma("max_page_count", 2)
    with pytest.raises(TemporaryStorageError, match="full"):
        database.commit(changes_of(memdb, Create(b"f"), Write(b"f", 0, bytes(5000))))
    monkeypatch.setattr(database_module, "FREE_BYTES_MIN", 2**60)
    with pytest.raises(TemporaryStorageError, match="bytes left"):
        database.probe()
    monkeypatch.setattr(database_module, "FREE_BYTES_MIN", 1)
    database.probe()
    monkeypatch.setattr(database_module, "FREE_BYTES_MIN", 2**60)
    database.probe()  # it is full no more, so nobody looks


def test_a_probe_changes_nothing(path: Path, database: Database) -> None:
    change(database, Memdb(database.load(), 0), Create(b"f"))
    before = sql(path, "SELECT * FROM tree")
    database.probe()
    assert sql(path, "SELECT * FROM tree") == before


@pytest.mark.parametrize("name", ["config.db", "config.db-wal", "config.db-shm"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_taken_away_stops_all_changes(
    path: Path, name: str, is_replaced: bool
) -> None:
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"))
    victim = path.with_name(name)
    aside = victim.rename(path.with_name("aside"))
    if is_replaced:
        victim.write_bytes(aside.read_bytes())
    attempts: list[Callable[[], None]] = [
        lambda: database.commit(changes_of(memdb, Create(b"g"))),
        database.probe,
        database.check_place,
        database.sync,
    ]
    for attempt in attempts:
        with pytest.raises(StorageError, match="while it is in use") as refusal:
            attempt()
        assert not isinstance(refusal.value, TemporaryStorageError)
        assert name in str(refusal.value)
    aside.rename(victim)
    database.commit(changes_of(memdb, Create(b"h")))
    database.close()


def test_a_failed_commit_says_which_command_helps(database: Database, path: Path) -> None:
    memdb = Memdb(database.load(), 0)
    sql(path, "DROP TABLE tree")
    with pytest.raises(StorageError, match=rf"no such table: tree.*pmxcfs-db check {path}"):
        database.commit(changes_of(memdb, Create(b"f")))


# syncs


def test_a_sync_reaches_the_write_ahead_log_of_this_database(
    path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fdatasync = os.fdatasync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", watched)
    change(database, Memdb(database.load(), 0), Create(b"f"))
    assert synced == [], "a plain commit does not wait for the disk"
    database.sync()
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    database.sync()
    assert synced == [str(path.with_name("config.db-wal"))] * 2


def test_a_sync_that_fails_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StorageError, match=r"cannot sync .*config.db-wal: Input/output error"):
        database.sync()


def test_a_database_in_memory_works_like_a_file() -> None:
    database = Database.in_memory()
    memdb = Memdb(database.load(), 0)
    change(database, memdb, Create(b"f"), Write(b"f", 0, b"x"))
    assert database.was_new
    assert entries(database.load()) == entries(memdb.tree)
    database.close()


def test_a_new_database_that_lost_its_log_with_the_power_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    made = Database.open(tmp_path / "new" / "config.db", now_s=1)
    left = tmp_path / "config.db"
    left.write_bytes((tmp_path / "new" / "config.db").read_bytes())
    made.close()
    again = Database.open(left, now_s=2)
    assert again.was_new
    assert list(again.load().entries()) == [again.load().root]
    again.close()
