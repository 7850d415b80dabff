"""A tree that a synchronisation drops is kept whole beside the database, the newest ten of them."""

import time
from collections.abc import Iterable
from errno import EDQUOT, ENOSPC
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pmxcfs.database import Database, write_database
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.lost_trees import KEPT_MAX, LostTrees
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.index import tree_checksum
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Write
from pmxcfs.memdb.tree import Tree

NOW_S = 1_700_000_000
NAME = "config.db.lost-20231114T221320"


def a_tree() -> Tree:
    memdb = Memdb(Tree.new(), NOW_S)
    for operation in (Mkdir(b"d"), Create(b"d/f"), Write(b"d/f", 0, b"text\xff")):
        assert memdb.apply(operation, 7, NOW_S, NOW_S).result >= 0
    return memdb.tree


@pytest.fixture
def trees(tmp_path: Path) -> LostTrees:
    return LostTrees(tmp_path / "config.db", write_database)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_kept_tree_is_a_whole_database_for_its_owner_alone(
    trees: LostTrees, tmp_path: Path
) -> None:
    tree = a_tree()
    trees.keep(tuple(tree.entries()), NOW_S)
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    database = Database.open(tmp_path / NAME, NOW_S)
    assert tree_checksum(database.load()) == tree_checksum(tree)
    database.close()


def test_the_same_tree_is_kept_once_and_another_of_the_same_second_too(
    trees: LostTrees, tmp_path: Path
) -> None:
    entries, others = tuple(a_tree().entries()), tuple(a_tree().entries())
    trees.keep(entries, NOW_S)
    trees.keep(entries, NOW_S)
    assert names(tmp_path) == [NAME]
    trees.keep(others, NOW_S)
    assert names(tmp_path) == [NAME, NAME[:-1] + "1"]


def test_the_newest_ten_stay(trees: LostTrees, tmp_path: Path) -> None:
    (tmp_path / "config.db.lost-and-found").touch()
    for number in range(KEPT_MAX + 3):
        trees.keep(tuple(a_tree().entries()), NOW_S + 60 * number)
    kept = trees.kept()
    assert len(kept) == KEPT_MAX
    assert kept[0].name == time.strftime("config.db.lost-%Y%m%dT%H%M%S", time.gmtime(NOW_S + 180))
    assert (tmp_path / "config.db.lost-and-found").exists()


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (OSError(ENOSPC, "no space"), True),
        (OSError(EDQUOT, "no more of the quota"), True),
        (TemporaryStorageError("full"), True),
        (StorageError("broken"), False),
        (PermissionError(13, "no"), False),
    ],
)
def test_what_cannot_be_kept_stops_the_synchronisation_and_leaves_nothing(
    error: Exception, is_temporary: bool, tmp_path: Path
) -> None:
    def write(path: Path, entries: Iterable[Entry]) -> None:
        path.write_text("half")
        raise error

    trees = LostTrees(tmp_path / "config.db", write)
    with pytest.raises(StorageError) as caught:
        trees.keep(tuple(a_tree().entries()), NOW_S)
    assert isinstance(caught.value, TemporaryStorageError) is is_temporary
    assert names(tmp_path) == []


def test_what_a_crash_left_of_a_tree_being_kept_is_in_nobodys_way(
    trees: LostTrees, tmp_path: Path
) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f"{NAME}.new{ending}").write_bytes(b"half of it" * 1000)
    trees.keep(tuple(a_tree().entries()), NOW_S)
    assert names(tmp_path) == [NAME]


def test_the_mark_outlives_the_process_until_it_is_taken_away(
    trees: LostTrees, tmp_path: Path
) -> None:
    assert trees.unshared_since() is None
    trees.mark_unshared(42)
    assert (tmp_path / "config.db.unshared").stat().st_mode & 0o777 == 0o600
    again = LostTrees(tmp_path / "config.db", write_database)
    assert again.unshared_since() == 42
    again.mark_unshared(None)
    assert again.unshared_since() is None
    assert names(tmp_path) == []


def test_a_mark_that_makes_no_sense_means_everything(trees: LostTrees, tmp_path: Path) -> None:
    mark = tmp_path / "config.db.unshared"
    mark.write_text("?")
    assert trees.unshared_since() == 1
    mark.unlink()
    mark.mkdir()
    assert trees.unshared_since() == 1


def test_the_same_mark_is_written_once(trees: LostTrees, tmp_path: Path) -> None:
    mark = tmp_path / "config.db.unshared"
    trees.mark_unshared(42)
    first = mark.stat().st_ino
    trees.mark_unshared(42)
    assert mark.stat().st_ino == first
    trees.mark_unshared(41)
    assert trees.unshared_since() == 41


def test_a_mark_that_somebody_took_away_is_nothing_to_speak_of(
    trees: LostTrees, tmp_path: Path
) -> None:
    trees.mark_unshared(42)
    (tmp_path / "config.db.unshared").unlink()
    with capture_logs() as lines:
        trees.mark_unshared(None)
    assert lines == []


def test_a_mark_that_cannot_be_written_is_logged_and_tried_again(tmp_path: Path) -> None:
    trees = LostTrees(tmp_path / "missing" / "config.db", write_database)
    with capture_logs() as lines:
        trees.mark_unshared(5)
        (tmp_path / "missing").mkdir()
        trees.mark_unshared(5)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert trees.unshared_since() == 5
