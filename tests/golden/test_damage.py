"""Every class of damage: the daemon and ``check`` say what is wrong, ``repair`` loses nothing."""

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.memdb.index import index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import copies
from pmxcfs.tools.checking import examine
from pmxcfs.tools.problems import Kind, Severity
from pmxcfs.tools.repairing import perform_repair, plan_repair
from tests.golden.command_line import CommandLine
from tests.golden.damage import (
    DAMAGES,
    FILE_DAMAGES,
    FILES,
    ROW_DAMAGES,
    UNREADABLE_SCHEMAS,
    Damage,
    make_sound,
)

REFUSED = [damage for damage in DAMAGES if damage.severity is Severity.REFUSED]
TOLERATED = [damage for damage in DAMAGES if damage.severity is not Severity.REFUSED]
READABLE = [
    damage for damage in DAMAGES if damage.is_readable and damage.name not in UNREADABLE_SCHEMAS
]
UNREADABLE = [damage for damage in DAMAGES if damage not in READABLE]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "config.db"
    make_sound(path)
    return path


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes to these files, so that a copy need not wait until they are old enough."""
    monkeypatch.setattr(copies, "PAUSE_S", 0.0001)


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "config.db"))


def load(path: Path) -> Tree:
    database = Database.open(path, now_s=0)
    try:
        tree = database.load()
        try:
            Memdb(tree, now_s=0)
        except StorageError as error:
            raise database.refusal(error) from error
    finally:
        database.close()
    return tree


def files_below(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_sound_database_has_nothing_wrong_and_repair_makes_the_same(path: Path) -> None:
    examination = examine(path)
    repair = plan_repair(examination)
    perform_repair(repair, path.with_name("new.db"))
    assert (examination.problems, repair.misfits, repair.amendments) == ((), (), ())
    assert index_of(load(path.with_name("new.db"))) == index_of(load(path))


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_check_finds_the_damage(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    found = {(problem.kind, problem.severity) for problem in examine(path).problems}
    assert (damage.kind, damage.severity) in found
    assert Kind.DAEMON not in {kind for kind, _ in found}


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_looking_changes_no_byte(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    before = files_below(path.parent)
    plan_repair(examine(path))
    assert files_below(path.parent) == before


@pytest.mark.parametrize("damage", REFUSED, ids=str)
def test_the_daemon_refuses_with_what_is_wrong_and_what_to_do(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    with pytest.raises(StorageError) as refusal:
        load(path)
    sentence = str(refusal.value)
    assert damage.said in sentence
    assert f"pmxcfs-db check {path}" in sentence
    assert f"pmxcfs-db repair {path} NEW" in sentence


@pytest.mark.parametrize("damage", FILE_DAMAGES, ids=str)
def test_a_refusal_leaves_the_file_as_it_is(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    before = path.read_bytes()
    if damage.severity is Severity.REFUSED:
        with pytest.raises(StorageError):
            load(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("damage", TOLERATED, ids=str)
def test_what_the_reference_loads_the_daemon_loads(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    load(path)


@pytest.mark.parametrize("damage", READABLE, ids=str)
def test_repair_makes_a_database_that_check_and_the_daemon_accept(
    path: Path, damage: Damage
) -> None:
    damage.inflict(path)
    new = path.with_name("new.db")
    repair = plan_repair(examine(path))
    perform_repair(repair, new)
    assert examine(new).problems == ()
    assert index_of(load(new)) == index_of(repair.tree)


@pytest.mark.parametrize("damage", ROW_DAMAGES, ids=str)
def test_repair_keeps_the_content_of_every_row(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    new = path.with_name("new.db")
    side = perform_repair(plan_repair(examine(path)), new)
    saved = list(files_below(side).values()) if side else []
    kept = Counter([*contents_in(new), *saved])
    assert not Counter(contents_in(path)) - kept


def contents_in(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT CAST(data AS BLOB) FROM tree").fetchall()
    connection.close()
    return [data for (data,) in rows if data]


@pytest.mark.parametrize("damage", READABLE, ids=str)
def test_repair_lists_every_entry_that_it_does_not_keep(path: Path, damage: Damage) -> None:
    damage.inflict(path)
    examination = examine(path)
    repair = plan_repair(examination)
    side = perform_repair(repair, path.with_name("new.db"))
    lines = (side / "report.json").read_text().splitlines() if side else []
    reported = [json.loads(line) for line in lines]
    numbers = {line["inode"] for line in reported if "inode" in line}
    numbers |= {entry.inode for entry in repair.tree.entries()}
    stored = {row.inode % 2**64 for row in examination.contents.rows if isinstance(row.inode, int)}
    assert stored <= numbers
    for line in reported:
        assert line["saved"] is None or (side and (side / line["saved"]).exists())


@pytest.mark.parametrize(
    ("name", "files_left"),
    [
        ("a page destroyed", 40),
        ("a bit flipped", len(FILES)),
        ("first page destroyed", len(FILES)),
    ],
)
def test_repair_recovers_what_undamaged_pages_hold(path: Path, name: str, files_left: int) -> None:
    (damage,) = (damage for damage in DAMAGES if damage.name == name)
    damage.inflict(path)
    repair = plan_repair(examine(path))
    intact = [
        name
        for name, content in FILES.items()
        if (entry := repair.tree.find(name)) is not None and entry.data == content
    ]
    assert len(intact) >= files_left
    assert repair.tree.root.mtime == 0


def test_what_is_put_aside_is_for_the_owner_only(path: Path) -> None:
    (damage,) = (damage for damage in DAMAGES if damage.name == "missing parent")
    damage.inflict(path)
    side = perform_repair(plan_repair(examine(path)), path.with_name("new.db"))
    assert side is not None
    modes = {found.stat().st_mode & 0o777 for found in (side, *side.rglob("*"))}
    assert modes == {0o700, 0o600}
    (top,) = side.glob("*-missing-directory")
    assert (top / "n1" / "qemu-server" / "100.conf").read_bytes() == b"memory: 512\n"


# the command line


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


CHOSEN = ("text as mtime", "ring of three", "cut in half", "a trigger", "file over 1 MiB")


@pytest.fixture(params=CHOSEN)
def damaged(request: pytest.FixtureRequest, path: Path) -> Path:
    (damage,) = (damage for damage in DAMAGES if damage.name == request.param)
    damage.inflict(path)
    return path


def test_the_status_tells_damaged_databases_from_sound_ones(
    run: CommandLine, damaged: Path, sound: Path
) -> None:
    assert run("check", sound).status == 0
    assert run("check", damaged).status == 1


@pytest.mark.parametrize("damage", UNREADABLE, ids=str)
def test_the_status_tells_what_cannot_be_read(run: CommandLine, path: Path, damage: Damage) -> None:
    damage.inflict(path)
    result = run("check", path)
    assert result.status == 2, result.out
    assert "nothing can be read" in result.err


def test_repair_writes_nothing_unless_it_is_told_to(run: CommandLine, damaged: Path) -> None:
    new = damaged.with_name("new.db")
    before = files_below(damaged.parent)
    assert run("repair", "--dry-run", damaged, new).status == 0
    unconfirmed = run("repair", damaged, new)
    assert unconfirmed.status == 1
    assert "Nothing is written" in unconfirmed.err
    assert files_below(damaged.parent) == before
    assert run("repair", "--yes", damaged, new).status == 0
    assert run("check", new).status == 0
    assert run("repair", "--yes", damaged, new).status == 2


def test_a_damaged_database_can_be_extracted_with_a_word_about_it(
    run: CommandLine, damaged: Path
) -> None:
    result = run("extract", damaged, damaged.with_name("out"), "storage.cfg")
    assert result.status == 0, result.err
    assert "not sound" in result.err
    assert damaged.with_name("out").joinpath("storage.cfg").read_bytes() == FILES[b"storage.cfg"]
