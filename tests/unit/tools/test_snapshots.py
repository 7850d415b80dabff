"""A snapshot is one file; restoring it keeps what was there, and waits for no daemon."""

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from pmxcfs import instance
from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.memdb.index import index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import publishing
from pmxcfs.tools.building import build
from pmxcfs.tools.snapshots import restore, take_snapshot
from tests.golden.command_line import CommandLine

LOCK_NAME = ".pmxcfs.lockfile"


def add_in_a_log(path: Path, name: bytes) -> None:
    """Commit a new file and leave it in the log, as a crash does."""
    child = os.fork()
    if child == 0:
        database = Database.open(path, 0)
        outcome = Memdb(database.load(), 0).apply(Create(name), 1, 9, 0)
        database.commit(outcome.changes)
        os._exit(0)
    os.waitpid(child, 0)


def names_beside(path: Path) -> set[str]:
    return {found.name for found in path.parent.iterdir()}


def kept_name(path: Path) -> str:
    (name,) = (
        found.name for found in path.parent.glob("config.db.*") if not found.name.endswith("-wal")
    )
    return name


@pytest.fixture
def state(tmp_path: Path, tree: Tree) -> Path:
    """Return the database of a state directory whose daemon crashed with a change in its log."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "config.db"
    build(tree, path)
    add_in_a_log(path, b"in-the-log")
    return path


def test_a_snapshot_is_one_file_with_what_was_in_the_log(
    state: Path, tmp_path: Path, load: Callable[[Path], Tree]
) -> None:
    before = names_beside(state)
    written = take_snapshot(state, tmp_path / "copy.db")
    assert written == tmp_path / "copy.db"
    assert names_beside(state) == before
    assert {name for name in names_beside(written) if "copy" in name} == {"copy.db"}
    assert written.stat().st_mode & 0o777 == 0o600
    assert load(written).find(b"in-the-log")


def test_a_snapshot_in_a_directory_is_named_after_the_time(state: Path, tmp_path: Path) -> None:
    written = take_snapshot(state, tmp_path)
    assert written.parent == tmp_path
    assert written.name.startswith("config.db.2")


@pytest.mark.parametrize("taken", ["copy.db", "copy.db-wal", "copy.db-journal"])
def test_a_snapshot_overwrites_nothing(state: Path, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(StorageError, match=f"{taken} exists; nothing is overwritten"):
        take_snapshot(state, tmp_path / "copy.db")
    assert (tmp_path / taken).read_text() == "mine"


def test_restore_keeps_the_old_database_with_its_log(
    state: Path, database: Path, load: Callable[[Path], Tree]
) -> None:
    old = state.read_bytes(), state.with_name("config.db-wal").read_bytes()
    kept = restore(database, state)
    assert kept == state.with_name(kept_name(state))
    log = kept.with_name(kept.name + "-wal")
    assert names_beside(state) == {"config.db", kept.name, log.name, LOCK_NAME}
    assert (kept.read_bytes(), log.read_bytes()) == old
    assert index_of(load(state)) == index_of(load(database))
    assert load(kept).find(b"in-the-log")


def test_the_mark_of_unshared_changes_goes_with_the_database_it_is_about(
    state: Path, database: Path
) -> None:
    state.with_name("config.db.unshared").write_text("12\n")
    kept = restore(database, state)
    assert kept is not None
    assert not state.with_name("config.db.unshared").exists()
    assert kept.with_name(kept.name + ".unshared").read_text() == "12\n"


def test_restore_where_nothing_was(tmp_path: Path, database: Path) -> None:
    (tmp_path / "new").mkdir()
    assert restore(database, tmp_path / "new" / "config.db") is None
    assert names_beside(tmp_path / "new" / "x") == {"config.db", LOCK_NAME}


def test_restore_keeps_a_log_without_its_database_out_of_the_way(
    state: Path, database: Path, load: Callable[[Path], Tree]
) -> None:
    state.unlink()
    restore(database, state)
    assert not state.with_name("config.db-wal").exists()
    assert index_of(load(state)) == index_of(load(database))


def test_restore_refuses_while_a_daemon_runs(state: Path, database: Path) -> None:
    before = state.read_bytes()
    with (
        instance.only_one(state.with_name(LOCK_NAME)),
        pytest.raises(StorageError, match=r"its daemon runs and holds .*; stop it first"),
    ):
        restore(database, state)
    assert state.read_bytes() == before
    assert names_beside(state) >= {"config.db", "config.db-wal"}


def test_no_daemon_starts_during_restore(
    state: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = publishing.replace
    attempts = []

    def start_a_daemon(draft: Path, target: Path) -> None:
        with (
            pytest.raises(instance.StartError),
            instance.only_one(target.with_name(LOCK_NAME), pause_s=0),
        ):
            pytest.fail("it started")
        attempts.append(target)
        replace(draft, target)

    monkeypatch.setattr(publishing, "replace", start_a_daemon)
    restore(database, state)
    assert attempts == [state]


def test_two_restores_do_not_meet(
    state: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = publishing.replace

    def restore_again(draft: Path, target: Path) -> None:
        with pytest.raises(StorageError, match="stop it first"):
            restore(database, state)
        replace(draft, target)

    monkeypatch.setattr(publishing, "replace", restore_again)
    assert restore(database, state) is not None


def test_a_crash_during_restore_leaves_the_old_database_and_all_of_it(
    state: Path, database: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], Tree]
) -> None:
    def crash(draft: Path, target: Path) -> None:
        raise OSError(5, "crash")

    old = load_copy(state, load)
    monkeypatch.setattr(publishing, "replace", crash)
    with pytest.raises(StorageError, match="cannot replace"):
        restore(database, state)
    load(state)
    assert index_of(load(state.with_name(kept_name(state)))) == old


def load_copy(path: Path, load: Callable[[Path], Tree]) -> object:
    copy = take_snapshot(path, path.parent.parent / "copy-of-old.db")
    return index_of(load(copy))


def test_the_command_refuses_to_restore_what_is_damaged(
    run: CommandLine, state: Path, database: Path
) -> None:
    connection = apsw.Connection(str(database))
    connection.execute("DELETE FROM tree WHERE inode = 0")
    connection.close()
    before = state.read_bytes()
    result = run("restore", database, state)
    assert result.status == 2
    assert "not restored; see pmxcfs-db repair" in result.err
    assert state.read_bytes() == before


def test_the_commands_say_where_everything_is(
    run: CommandLine, state: Path, tmp_path: Path
) -> None:
    assert run("snapshot", state, tmp_path / "copy.db").out.startswith(f"{tmp_path}/copy.db is")
    result = run("restore", tmp_path / "copy.db", state)
    assert result.status == 0
    assert f"the old one is kept as {state.parent}/{kept_name(state)}" in result.out


def test_a_snapshot_of_a_damaged_database_says_so(
    run: CommandLine, database: Path, tmp_path: Path
) -> None:
    connection = apsw.Connection(str(database))
    connection.execute("UPDATE tree SET name = '' WHERE name = 'storage.cfg'")
    connection.close()
    result = run("snapshot", database, tmp_path / "copy.db")
    assert result.status == 1
    assert "bad-name" in result.out
    assert (tmp_path / "copy.db").exists()
