"""What has no place in a repaired tree is kept under names that collide with nothing."""

import json
from pathlib import Path

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Entry, EntryType, Inode
from pmxcfs.tools.placing import Misfit
from pmxcfs.tools.saving import save


def file(inode: int, parent: int, name: bytes, data: bytes) -> Entry:
    return Entry(Inode(inode), Inode(parent), 3, 1, 9, EntryType.FILE, name, len(data), data)


def directory(inode: int, parent: int, name: bytes) -> Entry:
    return Entry(Inode(inode), Inode(parent), 3, 1, 9, EntryType.DIRECTORY, name)


def files_in(side: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(side)): path.read_bytes()
        for path in side.rglob("*")
        if path.is_file() and path.name != "report.json"
    }


def test_equal_and_impossible_names_all_get_a_file(tmp_path: Path) -> None:
    below = (
        file(5, 4, b"same", b"5"),
        file(6, 4, b"same", b"6"),
        file(7, 4, b"../x", b"7"),
        file(8, 4, b"", b"8"),
        file(9, 4, b"n" * 300, b"9"),
        file(10, 4, b"plain.cfg", b"10"),
    )
    save([Misfit(directory(4, 1, b"d"), "is lost", below)], [], tmp_path / "side")
    assert files_in(tmp_path / "side") == {
        "4-d/5-same": b"5",
        "4-d/6-same": b"6",
        "4-d/7-..\\x2fx": b"7",
        "4-d/8-": b"8",
        f"4-d/9-{'n' * 100}": b"9",
        "4-d/plain.cfg": b"10",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["side"]


def test_two_entries_of_one_number_both_get_a_file(tmp_path: Path) -> None:
    misfits = [Misfit(file(4, 0, b"f", data), "is one too many") for data in (b"1", b"2")]
    save(misfits, [], tmp_path / "side")
    assert files_in(tmp_path / "side") == {"4-f": b"1", "4-f-2": b"2"}


def test_the_report_has_what_a_file_cannot_show(tmp_path: Path) -> None:
    misfit = Misfit(file(4, 2, b"\xff", b"x"), "is lost")
    save([misfit], [(17, b"page"), (18, b"")], tmp_path / "side")
    lines = (tmp_path / "side/report.json").read_text().splitlines()
    entry, present, absent = map(json.loads, lines)
    assert entry == {
        "saved": "4-\\xff",
        "reason": "inode 4 ('\\xff') is lost",
        "inode": 4,
        "parent": 2,
        "version": 3,
        "writer": 1,
        "mtime": 9,
        "type": 8,
        "name": "ff",
        "size": 1,
    }
    assert (present, absent) == (
        {"page": 17, "saved": "page-17.bin"},
        {"page": 18, "saved": None},
    )
    assert (tmp_path / "side/page-17.bin").read_bytes() == b"page"


def test_nothing_is_added_to_what_was_kept_before(tmp_path: Path) -> None:
    (tmp_path / "side").mkdir()
    with pytest.raises(StorageError, match="side exists; nothing is overwritten"):
        save([], [], tmp_path / "side")
