"""A tree becomes files that only their owner can read, and nothing is overwritten."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.extracting import extract, write_file
from tests.golden.command_line import CommandLine

NOW_S = 1_700_000_000


def test_a_tree_is_written_as_it_is(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "a" / "pve"
    written = list(extract(tree, b"", target))
    assert len(written) == 4
    for entry in tree.entries():
        path = target / (tree.path_of(entry.inode).decode(errors="surrogateescape"))
        assert path.is_dir() == entry.is_directory
        assert path.stat().st_mode & 0o777 == (0o700 if entry.is_directory else 0o600)
        assert entry.is_directory or path.read_bytes() == entry.data
        assert entry.inode == 0 or path.stat().st_mtime == NOW_S


def test_one_directory_is_written_without_the_way_to_it(tree: Tree, tmp_path: Path) -> None:
    list(extract(tree, b"nodes/n1", tmp_path / "out"))
    assert (tmp_path / "out/qemu-server/100.conf").read_bytes() == b"memory: 512\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["qemu-server"]


def test_one_file_joins_others(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    assert list(extract(tree, b"storage.cfg", tmp_path)) == [tmp_path / "storage.cfg"]


def test_a_file_replaces_none_and_follows_no_link(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "storage.cfg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"storage.cfg: File exists"):
        list(extract(tree, b"storage.cfg", tmp_path))
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_directory_goes_only_into_an_empty_one(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(StorageError, match="is not empty"):
        list(extract(tree, b"", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_what_is_not_there_is_named(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no 'a/b'"):
        list(extract(tree, b"a/b", tmp_path))


def test_a_size_without_content_becomes_zeros(tree: Tree, tmp_path: Path) -> None:
    entry = tree.find(b"empty")
    assert entry is not None
    write_file(replace(entry, size=5), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == bytes(5)


def test_a_name_too_long_for_this_disk_is_named(
    make_tree: Callable[..., Tree], tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        list(extract(make_tree({b"x" * 300: b""}), b"", tmp_path / "out"))


@pytest.mark.parametrize("path", ["storage.cfg", "/storage.cfg", "/etc/pve/storage.cfg"])
def test_the_command_takes_paths_as_people_write_them(
    run: CommandLine, database: Path, tmp_path: Path, path: str
) -> None:
    result = run("extract", database, tmp_path / "out", path)
    assert (result.status, result.out) == (0, f"1 files in {tmp_path}/out\n")
    assert (tmp_path / "out/storage.cfg").exists()
