"""Rules of the database that only its settings, its errors or a written file show."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from errno import EACCES, EDQUOT, EIO, ENOSPC
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from pmxcfs import database as database_module
from pmxcfs.database import FREE_BYTES_MIN, LOG_BYTES_MAX, Database, write_database
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Write
from pmxcfs.memdb.tree import Tree

NOW_S = 1_700_000_000
NORMAL = 1


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "config.db", NOW_S)
    yield opened
    opened.close()


def a_tree() -> Tree:
    memdb = Memdb(Tree.new(), 0)
    for operation in (Mkdir(b"d"), Create(b"d/f"), Write(b"d/f", 0, b"text"), Create(b"g")):
        memdb.apply(operation, 3, NOW_S, 0)
    return memdb.tree


def test_the_log_is_synced_by_checkpoints_and_cut_to_16_mebibytes(database: Database) -> None:
    connection = database._connection
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == NORMAL
    assert connection.pragma("journal_size_limit") == LOG_BYTES_MAX == 16 * 2**20


@pytest.mark.parametrize(
    ("error", "system_errno", "expected", "is_full"),
    [
        (apsw.FullError(), 0, TemporaryStorageError, True),
        (apsw.IOError(), ENOSPC, TemporaryStorageError, True),
        (apsw.IOError(), EDQUOT, TemporaryStorageError, True),
        (apsw.IOError(), EIO, StorageError, False),
        (apsw.BusyError(), 0, TemporaryStorageError, False),
        (apsw.LockedError(), 0, TemporaryStorageError, False),
        (apsw.BusyError(), ENOSPC, TemporaryStorageError, False),
        (apsw.CorruptError(), ENOSPC, StorageError, False),
        (apsw.CantOpenError(), EACCES, StorageError, False),
    ],
)
def test_only_a_lock_and_a_lack_of_room_pass(
    error: apsw.Error, system_errno: int, expected: type[StorageError], is_full: bool
) -> None:
    database = Database.in_memory()
    assert not database._is_disk_full
    connection = database._connection
    database._connection = SimpleNamespace(system_errno=system_errno)  # type: ignore[assignment]
    assert type(database._error_of(error)) is expected
    assert database._is_disk_full is is_full
    database._connection = connection
    database.close()


def test_a_written_database_is_one_private_file_with_that_tree(tmp_path: Path) -> None:
    path, tree = tmp_path / "new.db", a_tree()
    write_database(path, tree.entries())
    assert [found.name for found in tmp_path.iterdir()] == ["new.db"]
    assert path.stat().st_mode & 0o777 == 0o600
    database = Database.open(path, NOW_S)
    assert not database.was_new
    assert list(database.load().entries()) == list(tree.entries())
    database.close()


def test_a_database_in_memory_touches_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Database.in_memory().close()
    assert list(tmp_path.iterdir()) == []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closing_and_refusing_leave_nothing_open(tmp_path: Path) -> None:
    before = open_files()
    database = Database.open(tmp_path / "config.db", NOW_S)
    assert open_files() > before
    database.close()
    assert open_files() == before
    (tmp_path / "junk.db").write_bytes(b"junk" * 1000)
    with pytest.raises(StorageError) as refusal:
        Database.open(tmp_path / "junk.db", NOW_S)
    assert open_files() == before, "although the refusal is still at hand"
    assert "pmxcfs-db repair" in str(refusal.value)


def test_a_file_of_somebody_else_leaves_nothing_open_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(connection: apsw.Connection) -> None:
        raise StorageError("as the test has it")

    monkeypatch.setattr(database_module, "_prepare", refuse)
    before = open_files()
    with pytest.raises(StorageError) as refusal:
        Database.open(tmp_path / "config.db", NOW_S)
    assert open_files() == before, "although the refusal is still at hand"
    assert str(refusal.value).endswith("config.db: as the test has it")


def test_a_log_that_cannot_be_emptied_is_told_and_the_database_closed() -> None:
    database = Database.in_memory()
    connection = database._connection
    closed: list[bool] = []

    def fail() -> None:
        raise apsw.IOError("disk I/O error")

    stub = SimpleNamespace(wal_checkpoint=fail, close=closed.append)
    database._connection = stub  # type: ignore[assignment]
    with pytest.raises(StorageError, match="cannot empty the write-ahead log: disk I/O error"):
        database.close()
    assert len(closed) == 1
    connection.close()


def test_a_probe_writes_and_so_sees_what_a_change_would_see(database: Database) -> None:
    database.probe()
    database._connection.execute("DELETE FROM tree")
    with pytest.raises(StorageError, match="the row of inode 0 is gone"):
        database.probe()


def test_a_full_disk_does_not_matter_to_a_database_in_memory() -> None:
    assert FREE_BYTES_MIN == 4 * 2**20
    database = Database.in_memory()
    database._is_disk_full = True
    database.probe()
    assert not database._is_disk_full
    database.close()


def test_content_that_is_only_equal_is_not_written_again(database: Database) -> None:
    memdb = Memdb(database.load(), 0)
    changes: list[Change] = []
    for operation in (Create(b"f"), Write(b"f", 0, b"text")):
        changes += memdb.apply(operation, 3, NOW_S, 0).changes
    database.commit(changes)
    entry = memdb.tree.find(b"f")
    assert entry is not None
    copy = replace(entry, mtime=5, data=bytes(bytearray(entry.data)))
    assert copy.data is not entry.data
    before = database._connection.total_changes()
    database.commit([Change(entry, copy)])
    assert database._connection.total_changes() == before + 1


def test_opening_waits_ten_seconds_for_a_lock_and_trusts_no_schema(tmp_path: Path) -> None:
    path = tmp_path / "config.db"
    Database.open(path, NOW_S).close()
    connection = apsw.Connection(str(path))
    database_module._vet(connection)
    assert connection.pragma("busy_timeout") == 10_000
    assert connection.pragma("trusted_schema") == 0
    connection.close()


def test_a_database_that_cannot_have_a_log_is_refused() -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(StorageError, match="it has journal mode 'memory'"):
        database_module._prepare(connection)
    connection.close()


def noted(calls: list[str], name: str, original: Callable[..., object]) -> Callable[..., object]:
    def noting(*given: object) -> object:
        calls.append(name)
        return original(*given)

    return noting


def test_a_written_database_is_on_the_disk_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("commit", "sync", "close"):
        original = getattr(Database, name)

        monkeypatch.setattr(Database, name, noted(calls, name, original))
    write_database(tmp_path / "new.db", a_tree().entries())
    assert calls == ["commit", "sync", "close"]


class Sizes:
    """Hears how long the log is."""

    has_room = True

    def __init__(self) -> None:
        self.noted: list[int] = []

    def note_size(self, size_bytes: int) -> None:
        self.noted.append(size_bytes)


LOG_HEADER_BYTES = 32


def test_the_length_of_the_log_is_told_after_each_commit(tmp_path: Path) -> None:
    database, sizes = Database.open(tmp_path / "config.db", NOW_S), Sizes()
    database.attach_log_keeper(sizes)
    memdb = Memdb(database.load(), NOW_S)
    seen = []
    for operation in (Mkdir(b"d"), Create(b"d/f")):
        database.commit(memdb.apply(operation, 3, NOW_S, 0).changes)
        seen.append((tmp_path / "config.db-wal").stat().st_size - LOG_HEADER_BYTES)
    database.close()
    assert sizes.noted == seen


def test_rows_that_cannot_be_read_are_an_error_of_the_database() -> None:
    database = Database.in_memory()
    database._connection.execute("DROP TABLE tree")
    with pytest.raises(StorageError, match="no such table"):
        database.load()


def test_without_room_in_the_log_nothing_is_written(tmp_path: Path) -> None:
    database, sizes = Database.open(tmp_path / "config.db", NOW_S), Sizes()
    database.attach_log_keeper(sizes)
    sizes.has_room = False
    changes = Memdb(database.load(), NOW_S).apply(Mkdir(b"d"), 3, NOW_S, 0).changes
    with pytest.raises(TemporaryStorageError, match="brought into the file first"):
        database.commit(changes)
    assert sizes.noted == []
    sizes.has_room = True
    database.commit(changes)
    database.close()
