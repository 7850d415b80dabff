"""Pages read without SQLite: what it reads too, what it can't, and nothing that was deleted."""

import shutil
import tarfile
from pathlib import Path

import apsw
import pytest

from pmxcfs.tools import copies
from pmxcfs.tools.carving import carve
from pmxcfs.tools.checking import examine
from pmxcfs.tools.pages import Image
from pmxcfs.tools.repairing import perform_repair, plan_repair
from tests.golden.damage import (
    FILES,
    PAGE,
    SCHEMA_DAMAGES,
    UNREADABLE_SCHEMAS,
    Damage,
    make_sound,
    patch,
)

RECORDED = Path(__file__).parent / "vectors/db"
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in RECORDED.glob("*.tar.xz"))
COLUMNS = "parent, version, writer, mtime, type, CAST(name AS BLOB), CAST(data AS BLOB)"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PAUSE_S", 0.0001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_sound(tmp_path / "config.db")
    return tmp_path / "config.db"


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_database_is_read_as_sqlite_reads_it(name: str, tmp_path: Path) -> None:
    with tarfile.open(RECORDED / f"{name}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    database = tmp_path / name / "config.db"
    carved = carve(Image.of(database))
    connection = apsw.Connection(str(database))
    rows = connection.execute(f"SELECT inode, {COLUMNS} FROM tree").fetchall()
    connection.close()
    assert sorted((cell.rowid, cell.record) for cell in carved.rows) == sorted(
        (row[0], (None, *row[1:])) for row in rows
    )
    assert (carved.adrift, carved.damaged_pages) == ((), ())


@pytest.mark.parametrize("size", [0, 1, 4000, 4050, 4061, 4062, 4063, 4100, 8192, 50_000])
def test_a_value_of_any_size_is_put_together(path: Path, size: int) -> None:
    content = bytes(range(256)) * 200
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE tree SET data = ? WHERE name = 'user.cfg'", (content[:size],))
    connection.close()
    found = {cell.record[6]: cell for cell in carve(Image.of(path)).rows}
    assert (found[b"user.cfg"].record[7] or b"") == content[:size]
    assert found[b"user.cfg"].missing_bytes == 0


@pytest.mark.parametrize(
    "damage",
    [damage for damage in SCHEMA_DAMAGES if damage.name not in UNREADABLE_SCHEMAS],
    ids=str,
)
def test_what_other_tables_hold_is_not_taken_for_lost_rows(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    repair = plan_repair(examine(path))
    assert repair.misfits == ()
    assert repair.lost_pages == ()
    assert {name for name in FILES if repair.tree.find(name)} == set(FILES)


def test_deleted_entries_do_not_come_back(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM tree WHERE name LIKE 'file-%'")
    free_pages = connection.pragma("freelist_count")
    connection.close()
    assert isinstance(free_pages, int)
    assert free_pages > 0
    patch(path, PAGE, b"\xa5" * PAGE)
    names = {entry.name for entry in plan_repair(examine(path)).tree.entries()}
    assert not [name for name in names if name.startswith(b"file-")]


def test_a_page_that_refers_to_itself_is_read_once(path: Path) -> None:
    patch(path, PAGE + 8, (2).to_bytes(4, "big"))
    assert path.read_bytes()[PAGE] == 5, "the table has to begin with an interior page"
    carved = carve(Image.of(path))
    numbers = [cell.rowid for cell in carved.rows + carved.adrift]
    assert len(numbers) == len(set(numbers)) > 60


def test_an_overflow_chain_that_runs_in_a_circle_ends(path: Path) -> None:
    image = Image.of(path)
    (large,) = (cell for cell in carve(image).rows if cell.record[6] == b"large")
    first, second = large.overflow[:2]
    patch(path, (second - 1) * PAGE, first.to_bytes(4, "big"))
    (large,) = (cell for cell in carve(Image.of(path)).rows if cell.record[6] == b"large")
    assert large.overflow == (first, second)
    assert large.missing_bytes > 0


def test_a_file_that_is_not_whole_is_kept_aside_and_not_in_the_tree(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // PAGE // 2 * PAGE])
    repair = plan_repair(examine(path))
    side = perform_repair(repair, path.with_name("new.db"))
    assert side is not None
    assert repair.tree.find(b"priv/large") is None
    (saved,) = side.glob("*-large")
    assert FILES[b"priv/large"].startswith(saved.read_bytes())
    assert saved.stat().st_size > 10_000


@pytest.mark.parametrize(("page_bytes", "reserved"), [(512, 0), (1024, 0), (1024, 8)])
def test_another_page_size_is_read_too(
    tmp_path: Path, path: Path, page_bytes: int, reserved: int
) -> None:
    other = tmp_path / "other.db"
    shutil.copy(path, other)
    connection = apsw.Connection(str(other))
    connection.pragma("journal_mode", "delete")
    connection.pragma("page_size", page_bytes)
    if reserved:
        connection.reserve_bytes("main", reserved)
    connection.execute("VACUUM")
    connection.close()
    assert len(carve(Image.of(other)).rows) == len(carve(Image.of(path)).rows)
    assert carve(Image.of(other)).damaged_pages == ()
