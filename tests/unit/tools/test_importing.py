"""A directory tree becomes a database, whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import importing
from pmxcfs.tools.checking import examine
from pmxcfs.tools.extracting import extract
from pmxcfs.tools.importing import read_directory
from tests.golden.command_line import CommandLine

NOW_S = 1_700_000_000


@pytest.fixture
def source(tree: Tree, tmp_path: Path) -> Path:
    list(extract(tree, b"", tmp_path / "source"))
    return tmp_path / "source"


def paths_and_contents(tree: Tree) -> dict[bytes, tuple[bool, bytes]]:
    return {tree.path_of(entry.inode): (entry.is_directory, entry.data) for entry in tree.entries()}


def test_import_and_extract_are_each_other_reversed(source: Path, tree: Tree) -> None:
    imported = read_directory(source, NOW_S)
    assert paths_and_contents(imported.tree) == paths_and_contents(tree)
    assert imported.left_out == ()


def test_everything_has_one_time_and_no_writer(source: Path) -> None:
    entries = list(read_directory(source, NOW_S).tree.entries())
    assert {(entry.mtime, entry.writer) for entry in entries} == {(NOW_S, 0)}


def test_versions_are_those_of_the_operations_in_the_order_of_the_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    tree = read_directory(tmp_path, NOW_S).tree
    assert [(entry.name, entry.inode, entry.version) for entry in tree.entries()] == [
        (b"", 0, 5),
        (b"a", 2, 3),
        (b"b", 4, 5),
    ]


def test_what_the_daemon_provides_is_left_out(source: Path) -> None:
    for name in (".version", ".members", "lxc"):
        (source / name).write_text("{}")
    (source / "local").symlink_to("nodes/n1")
    (source / "qemu-server").symlink_to("local/qemu-server")
    (source / "nodes" / ".version").write_text("an ordinary file down here")
    imported = read_directory(source, NOW_S)
    assert imported.left_out == (b".members", b".version", b"local", b"qemu-server")
    assert imported.tree.find(b"nodes/.version")
    assert imported.tree.find(b"lxc")


def test_all_that_cannot_be_imported_is_listed(source: Path) -> None:
    (source / "link").symlink_to("storage.cfg")
    os.mkfifo(source / "priv" / "fifo")
    (source / "large").write_bytes(bytes(1024 * 1024 + 1))
    (source / "nodes/n1/lxc").mkdir()
    (source / "nodes/n1/lxc/100.conf").touch()
    with pytest.raises(StorageError) as refusal:
        read_directory(source, NOW_S)
    lines = str(refusal.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "'large'",
        "'link'",
        "'nodes/n1/qemu-server/100.conf'",
        "'priv/fifo'",
    ]


def test_a_file_of_1_mib_fits(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(1024 * 1024))
    assert len(read_directory(tmp_path, NOW_S).tree) == 2


def test_more_than_a_tree_can_hold_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CONTENT_BYTES_MAX", 100)
    with pytest.raises(StorageError, match="more than 100 bytes"):
        read_directory(source, NOW_S)


def test_the_command_makes_a_sound_database(
    run: CommandLine, source: Path, tmp_path: Path, load: Callable[[Path], Tree], tree: Tree
) -> None:
    result = run("import", source, tmp_path / "new.db")
    assert result.status == 0, result.err
    assert examine(tmp_path / "new.db").problems == ()
    assert paths_and_contents(load(tmp_path / "new.db")) == paths_and_contents(tree)
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_a_refused_import_leaves_nothing_behind(
    run: CommandLine, source: Path, tmp_path: Path
) -> None:
    (source / "link").symlink_to("storage.cfg")
    result = run("import", source, tmp_path / "new.db")
    assert result.status == 2
    assert "'link': is neither a file nor a directory" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_existing_database_is_refused(run: CommandLine, source: Path, database: Path) -> None:
    before = database.read_bytes()
    result = run("import", source, database)
    assert result.status == 2
    assert "exists; nothing is overwritten" in result.err
    assert database.read_bytes() == before
