"""Whatever is in a database file: a refusal that says why, or a tree. Never anything else."""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import copies
from pmxcfs.tools.checking import Examination, examine
from pmxcfs.tools.problems import Kind, Severity
from pmxcfs.tools.repairing import plan_repair
from tests.golden.damage import make_sound

PAGE = 4096

SETTINGS = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PAUSE_S", 0.0001)


@dataclass(frozen=True, slots=True)
class Sound:
    """A closed database, and one with the log that it has while it is open."""

    file: bytes = field(repr=False)
    open_file: bytes = field(repr=False)
    log: bytes = field(repr=False)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    directory = tmp_path_factory.mktemp("sound")
    closed, opened = directory / "closed.db", directory / "open.db"
    make_sound(closed)
    content = closed.read_bytes()
    tree = load(closed)
    assert tree is not None
    database = Database.open(opened, 0)
    entries = tree.entries()
    database.commit([Change(None if one.inode != ROOT_INODE else one, one) for one in entries])
    # Nobody else has these open, so that no lock of SQLite's can be lost.
    result = Sound(content, opened.read_bytes(), directory.joinpath("open.db-wal").read_bytes())
    database.close()
    return result


# Any place, the header, and the beginning of a page, where a flip does most.
places = st.one_of(
    st.integers(0, 2**20),
    st.integers(0, 120),
    st.builds(lambda page, at: page * PAGE + at, st.integers(0, 40), st.integers(0, 16)),
)
contents = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from([bytes(64), b"\xff" * 64, b"\x0d" * 8, b"\x05" * 8, bytes(PAGE)]),
)
patches = st.lists(st.tuples(places, contents), min_size=1, max_size=8)


def patched(content: bytes, changes: Sequence[tuple[int, bytes]]) -> bytes:
    changed = bytearray(content)
    for at, new in changes:
        at %= len(content)
        changed[at : at + len(new)] = new[: len(content) - at]
    return bytes(changed)


@contextmanager
def files(database: bytes, log: bytes = b"") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.db"
        path.write_bytes(database)
        if log:
            path.with_name("config.db-wal").write_bytes(log)
        yield path


def load(path: Path) -> Tree | None:
    """Return the tree that the daemon makes of a database, None if it refuses it."""
    try:
        database = Database.open(path, now_s=0)
        try:
            tree = database.load()
            Memdb(tree, now_s=0)
        finally:
            database.close()
    except StorageError:
        return None
    return tree


def check_agrees_with_the_daemon(path: Path) -> Examination:
    """Look at a database in both ways, and see that they say the same of it."""
    examination = examine(path)
    if examination.is_readable:
        plan_repair(examination)  # which sees to it that the tree is sound
    tree = load(path)
    kinds = {problem.kind for problem in examination.problems}
    is_refused = any(problem.severity is Severity.REFUSED for problem in examination.problems)
    assert (tree is None) == is_refused
    assert Kind.DAEMON not in kinds
    if tree is not None and not examination.problems:
        entries = list(examination.placement.tree.entries())
        assert entries[1:] == list(tree.entries())[1:]
    return examination


@SETTINGS
@given(changes=patches)
def test_a_damaged_file_is_refused_or_loads(
    sound: Sound, changes: Sequence[tuple[int, bytes]]
) -> None:
    with files(patched(sound.file, changes)) as path:
        check_agrees_with_the_daemon(path)


@SETTINGS
@given(changes=patches)
def test_a_damaged_log_is_refused_or_loads(
    sound: Sound, changes: Sequence[tuple[int, bytes]]
) -> None:
    with files(sound.open_file, patched(sound.log, changes)) as path:
        check_agrees_with_the_daemon(path)


@SETTINGS
@given(share=st.floats(0, 1), is_log=st.booleans())
def test_a_truncated_file_is_refused_or_loads(sound: Sound, share: float, is_log: bool) -> None:
    if is_log:
        pair = (sound.open_file, sound.log[: int(share * len(sound.log))])
    else:
        pair = (sound.file[: int(share * len(sound.file))], b"")
    with files(*pair) as path:
        check_agrees_with_the_daemon(path)


@SETTINGS
@given(content=st.one_of(st.binary(max_size=200), st.binary().map(b"SQLite format 3\0".__add__)))
@example(b"\0" * 100_000)
@example(b"SQLite format 3\0" * 10_000)
def test_any_bytes_are_refused_or_are_a_new_database(content: bytes) -> None:
    with files(content) as path:
        check_agrees_with_the_daemon(path)


# rows

numbers = st.one_of(
    st.integers(0, 12),
    st.sampled_from([-1, 2**31, 2**32 + 4, 2**62 + 1, 2**63 - 1, -(2**63), 264]),
    st.sampled_from([None, "", "7", "x", 1.5, 3.0, b"\x04"]),
)
row_names = st.sampled_from(
    [
        *(b"", b".", b"..", b"a/b", b"a\0b", b"\xff", b"__version__", b"a", b"b", b"priv"),
        *(b"nodes", b"n1", b"lxc", b"qemu-server", b"100.conf", b"101.conf", b"lock"),
    ]
)
stored_rows = st.tuples(
    st.integers(-2, 12),
    st.one_of(st.integers(0, 12), numbers),
    numbers,
    numbers,
    numbers,
    st.one_of(st.sampled_from([4, 8]), numbers),
    row_names,
    st.one_of(st.none(), st.binary(max_size=5)),
)
version_rows = st.tuples(
    st.just(0),
    st.just(0),
    st.one_of(st.just(20), numbers),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([4, 8]),
    st.just(b"__version__"),
    st.none(),
)
tables = st.lists(stored_rows, max_size=14, unique_by=lambda row: row[0]).flatmap(
    lambda rows: st.one_of(
        st.just(rows),
        version_rows.map(lambda version: [version, *(row for row in rows if row[0] != 0)]),
    )
)

LOOSE_TABLE = """
CREATE TABLE tree (inode INTEGER PRIMARY KEY NOT NULL, parent INTEGER, version INTEGER,
  writer INTEGER, mtime INTEGER, type INTEGER, name TEXT, data BLOB)
"""


@settings(SETTINGS, max_examples=200)
@given(rows=tables)
def test_any_rows_are_refused_or_load_and_repair_keeps_their_content(
    rows: Sequence[tuple[object, ...]],
) -> None:
    with files(b"") as path:
        connection = sqlite3.connect(path)
        connection.execute(LOOSE_TABLE)
        insert = "INSERT INTO tree VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"
        connection.executemany(insert, rows)
        connection.commit()
        connection.close()
        examination = check_agrees_with_the_daemon(path)
    if examination.is_readable:
        repair = plan_repair(examination)
        entries = [entry for misfit in repair.misfits for entry in (misfit.entry, *misfit.below)]
        kept = Counter(entry.data for entry in [*entries, *repair.tree.entries()])
        stored = Counter(row[7] for row in rows if isinstance(row[7], bytes) and row[7])
        assert not stored - kept
