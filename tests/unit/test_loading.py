"""What a start takes over from the host, and whether it begins a cluster."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from pmxcfs import instance, loading
from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.instance import LOCK_TRIES, StartError
from pmxcfs.loading import has_corosync_conf, load
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir
from pmxcfs.memdb.tree import Tree
from pmxcfs.options import Options

TEXT = b"totem { config_version: 7 }\n"


@pytest.fixture
def options(tmp_path: Path) -> Options:
    conf = tmp_path / "corosync.conf"
    conf.write_bytes(TEXT)
    return Options(node_name="n", state_dir=tmp_path, corosync_conf=conf)


def start(options: Options) -> Memdb:
    """Load the database as a start does."""
    database = Database.open(options.database, now_s=0)
    try:
        return load(database, options)
    finally:
        database.close()


def test_a_new_database_takes_over_the_hosts_corosync_conf(options: Options) -> None:
    memdb = start(options)
    entry = memdb.tree.find(b"corosync.conf")
    assert entry is not None
    assert (entry.data, entry.inode, entry.writer) == (TEXT, 2, 0)
    assert memdb.tree.root.version == 3
    assert memdb.counters[b"corosync.conf"] == 1


def test_without_a_file_or_for_itself_alone_a_new_database_takes_over_nothing(
    options: Options,
) -> None:
    assert start(replace(options, is_local=True)).tree.root.version == 1
    options.database.unlink()
    options.corosync_conf.unlink()
    assert start(options).tree.root.version == 1


def test_a_tree_that_is_unsound_as_a_whole_is_refused_with_what_to_do(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tree: Tree, now_s: int) -> Memdb:
        raise StorageError("VM 100 has two configurations")

    monkeypatch.setattr(loading, "Memdb", refuse)
    with pytest.raises(StorageError, match=r"config\.db.*VM 100 has two.*pmxcfs-db"):
        start(options)


def test_a_database_that_was_there_takes_over_nothing(options: Options) -> None:
    Database.open(options.database, now_s=0).close()
    assert start(options).tree.find(b"corosync.conf") is None


def test_a_file_that_is_taken_over_is_there_whole_or_not_at_all(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a crash on the way would leave a cluster with an empty configuration."""
    commit, calls = Database.commit, []

    def crash_after_the_first(database: Database, changes: Sequence[Change]) -> None:
        calls.append(changes)
        if len(calls) > 1:
            raise StorageError("crash")
        commit(database, changes)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "commit", crash_after_the_first)
        start(options)
    entry = start(options).tree.find(b"corosync.conf")
    assert entry is not None
    assert entry.data == TEXT


def test_a_file_that_is_too_large_is_not_taken_over_and_named(options: Options) -> None:
    options.corosync_conf.write_bytes(bytes(FILE_SIZE_BYTES_MAX + 1))
    with pytest.raises(StartError, match=r"cannot import .*corosync.conf: File too large"):
        start(options)
    assert start(options).tree.find(b"corosync.conf") is None


def test_a_file_that_cannot_be_read_is_named(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(StartError, match=r"cannot read .*corosync.conf: Input/output error"):
        start(options)


@pytest.mark.parametrize(
    ("operation", "is_cluster"),
    [
        (Create(b"corosync.conf"), True),  # an empty one, too
        (Mkdir(b"corosync.conf"), False),
        (Create(b"corosync.conf.new"), False),
        (None, False),
    ],
)
def test_a_file_in_the_root_makes_a_cluster(
    operation: Create | Mkdir | None, is_cluster: bool
) -> None:
    memdb = Memdb(Tree.new(), 0)
    if operation is not None:
        memdb.apply(operation, 0, 1, 1)
    assert has_corosync_conf(memdb) is is_cluster


def test_without_the_group_there_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "GROUP_NAME", "no-such-group")
    with pytest.raises(StartError, match="there is no group no-such-group; create it"):
        instance.group_id()


def test_a_predecessor_has_ten_seconds_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses_s: list[float] = []
    monkeypatch.setattr("time.sleep", pauses_s.append)
    lock_file = tmp_path / "lock"
    with (
        structlog.testing.capture_logs() as lines,
        instance.only_one(lock_file),
        pytest.raises(StartError),
        instance.only_one(lock_file),
    ):
        pytest.fail("both hold the lock")
    assert pauses_s == [1.0] * 10
    assert LOCK_TRIES == 11
    assert [line["event"] for line in lines] == ["another pmxcfs holds the lock, trying again"]
