"""Rules of the database that only its settings, its errors or a written file show."""

from collections.abc import Iterator
from errno import EACCES, EDQUOT, EIO, ENOSPC
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from pmxcfs.database import LOG_BYTES_MAX, Database, write_database
from pmxcfs.errors import StorageError, TemporaryStorageError
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
    write_database(path, tree.entries(), NOW_S)
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
