"""Findings that are no refusal, and how findings are put."""

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import checking
from pmxcfs.tools.checking import examine
from pmxcfs.tools.claims import claims_of
from pmxcfs.tools.contents import Row
from pmxcfs.tools.guest_rules import guest_faults
from pmxcfs.tools.placing import place
from pmxcfs.tools.problems import Kind, Severity, printable

ROOT = Row(0, 0, 9, 1, 1, 8, b"__version__", None)


def sql(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


def findings(path: Path) -> list[tuple[Kind, Severity]]:
    return [(problem.kind, problem.severity) for problem in examine(path).problems]


@pytest.mark.parametrize(("limit", "value"), [("CONTENT_BYTES_MAX", 6033), ("ENTRIES_MAX", 8)])
def test_a_tree_above_the_limits_gives_a_warning_and_is_sound(
    database: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    assert findings(database) == []
    monkeypatch.setattr(checking, limit, value)
    assert findings(database) == [(Kind.TOO_MUCH, Severity.WARNING)]
    assert examine(database).is_sound


def test_a_number_that_is_cut_gives_a_warning_and_stays_what_the_daemon_reads(
    database: Path, load: Callable[[Path], Tree]
) -> None:
    sql(database, f"UPDATE tree SET mtime = {2**32 + 5}, type = 264 WHERE name = 'storage.cfg'")
    examination = examine(database)
    assert findings(database) == [(Kind.OUT_OF_RANGE, Severity.WARNING)] * 2
    assert examination.is_sound
    assert examination.placement.tree.find(b"storage.cfg") == load(database).find(b"storage.cfg")


def test_a_log_whose_end_is_not_used_gives_a_warning(database: Path, tmp_path: Path) -> None:
    connection = apsw.Connection(str(database))
    for number in range(3):
        connection.execute(f"UPDATE tree SET mtime = {number} WHERE name = 'storage.cfg'")
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    log = bytearray(database.with_name("config.db-wal").read_bytes())
    connection.close()
    log[-1] ^= 1
    copy.with_name("copy.db-wal").write_bytes(log)
    assert findings(copy) == [(Kind.LOG, Severity.WARNING)]


def test_text_as_content_and_a_directory_with_an_empty_blob_are_in_order(database: Path) -> None:
    sql(database, "UPDATE tree SET data = 'text' WHERE name = 'storage.cfg'")
    sql(database, "UPDATE tree SET data = x'' WHERE name = 'nodes'")
    sql(database, "UPDATE tree SET type = 4 WHERE inode = 0")
    assert findings(database) == []


def test_all_problems_of_one_row_are_listed(database: Path) -> None:
    sql(
        database,
        "UPDATE tree SET name = 'a/b', version = 999, inode = 500 WHERE name = 'storage.cfg'",
    )
    assert {kind for kind, _ in findings(database)} == {
        Kind.BAD_NAME,
        Kind.INODE_ABOVE_VERSION,
        Kind.VERSION_ABOVE_VERSION,
    }


def test_every_ring_is_found_once(database: Path) -> None:
    sql(database, "INSERT INTO tree VALUES (20, 21, 1, 1, 1, 4, 'a', NULL)")
    sql(database, "INSERT INTO tree VALUES (21, 20, 1, 1, 1, 4, 'b', NULL)")
    sql(database, "INSERT INTO tree VALUES (22, 22, 1, 1, 1, 4, 'c', NULL)")
    sql(database, "INSERT INTO tree VALUES (23, 22, 1, 1, 1, 8, 'below', NULL)")
    sentences = [
        problem.sentence for problem in examine(database).problems if problem.kind is Kind.CYCLE
    ]
    assert sentences == [
        "inode 20 ('a') is in itself through inode 21",
        "inode 22 ('c') is in itself",
    ]


def test_what_only_the_daemon_finds_is_among_the_problems(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Database) -> Tree:
        raise StorageError("something new. List all that is wrong: ...")

    monkeypatch.setattr(Database, "load", refuse)
    (problem,) = examine(database).problems
    assert (problem.kind, problem.severity) == (Kind.DAEMON, Severity.REFUSED)
    assert problem.sentence == "something new"


# rivals


def kept(rows: Sequence[Row]) -> dict[bytes, bytes]:
    tree = place(claims_of([ROOT, *rows])).tree
    return {entry.name: entry.data for entry in tree.entries() if entry.inode}


def test_of_two_entries_of_one_name_the_newer_stays() -> None:
    old = Row(8, 0, 2, 1, 1, 8, b"f", b"old")
    new = Row(3, 0, 7, 1, 1, 8, b"f", b"new")
    assert kept([old, new]) == kept([new, old]) == {b"f": b"new"}


def test_of_two_entries_of_one_number_the_one_in_use_stays() -> None:
    used = Row(3, 0, 4, 1, 1, 8, b"f", b"used")
    adrift = Row(3, 0, 7, 1, 1, 8, b"f", b"adrift", is_adrift=True)
    assert kept([adrift, used]) == {b"f": b"used"}


def test_of_two_guests_with_one_id_the_newer_stays() -> None:
    rows = [
        Row(2, 0, 2, 1, 1, 4, b"nodes", None),
        Row(3, 2, 3, 1, 1, 4, b"n1", None),
        Row(4, 3, 4, 1, 1, 4, b"lxc", None),
        Row(5, 3, 5, 1, 1, 4, b"qemu-server", None),
        Row(6, 4, 8, 1, 1, 8, b"100.conf", b"new"),
        Row(7, 5, 7, 1, 1, 8, b"100.conf", b"old"),
    ]
    faults = guest_faults(place(claims_of([ROOT, *rows])).tree)
    assert [fault.entry.data for fault in faults] == [b"old"]


def test_a_directory_that_loses_its_place_takes_its_entries_along() -> None:
    rows = [
        Row(2, 0, 2, 1, 1, 4, b"d", None),
        Row(3, 0, 7, 1, 1, 4, b"d", None),
        Row(4, 2, 4, 1, 1, 8, b"in-2", b"x"),
        Row(5, 3, 5, 1, 1, 8, b"in-3", b"y"),
    ]
    placement = place(claims_of([ROOT, *rows]))
    assert {entry.name for entry in placement.tree.entries()} == {b"", b"d", b"in-3"}
    (misfit,) = placement.misfits
    assert (misfit.entry.inode, [entry.name for entry in misfit.below]) == (2, [b"in-2"])


def test_the_version_of_a_tree_without_one_is_the_highest_of_any_row() -> None:
    rows = [Row(5, 77, 30, 1, 1, 8, b"lost", b""), Row(6, 0, 20, 1, 1, 8, b"f", b"")]
    assert place(claims_of(rows)).tree.root.version == 30


def test_an_impossible_number_does_not_use_up_the_versions() -> None:
    rows = [
        ROOT,
        Row(2**62 + 1, 0, 5, 1, 1, 8, b"f", b"x"),
        Row(3, 0, 2**63 - 1, 1, 1, 8, b"g", b""),
    ]
    placement = place(claims_of(rows))
    assert placement.tree.root.version == 9
    assert {misfit.entry.name for misfit in placement.misfits} == {b"f", b"g"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain.cfg", "plain.cfg"),
        ("gr\xfcn".encode(), "gr\xfcn"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\x1b[31m\n\t", "\\x1b[31m\\n\\t"),
        (b"it's", "it's"),
    ],
)
def test_a_name_is_shown_without_harm_to_the_terminal(name: bytes, shown: str) -> None:
    assert printable(name) == shown
