"""A log is read up to where SQLite reads it, and what comes after is counted."""

import struct
from pathlib import Path

import apsw
import pytest

from pmxcfs.tools.wal import Log, read_log

FRAME = 24 + 4096


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a database's file and its log of several commits."""
    path = tmp_path_factory.mktemp("log") / "x.db"
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE t (n, b)")
    for number in range(5):
        connection.execute("INSERT INTO t VALUES (?, zeroblob(6000))", (number,))
    pair = path.read_bytes(), path.with_name("x.db-wal").read_bytes()
    connection.close()
    return pair


def rows_for_sqlite(tmp_path: Path, file: bytes, log: bytes) -> int:
    (tmp_path / "y.db").write_bytes(file)
    (tmp_path / "y.db-wal").write_bytes(log)
    connection = apsw.Connection(str(tmp_path / "y.db"))
    count = connection.execute("SELECT count(*) FROM t").get
    connection.close()
    return int(str(count))


def rows_with_our_pages(tmp_path: Path, file: bytes, log: Log) -> int:
    """Count the rows of the database that results if our pages are put into the file."""
    content = bytearray(file.ljust(log.page_count * 4096, b"\0"))
    for number, page in log.pages.items():
        content[(number - 1) * 4096 : number * 4096] = page
    return rows_for_sqlite(tmp_path, bytes(content), b"")


def test_a_sound_log_is_used_to_its_end(tmp_path: Path, recorded: tuple[bytes, bytes]) -> None:
    file, content = recorded
    log = read_log(content)
    assert (log.ignored_frames, log.fault) == (0, None)
    assert rows_with_our_pages(tmp_path, file, log) == 5


@pytest.mark.parametrize("frame", range(4, 12))
def test_a_damaged_log_is_used_as_far_as_sqlite_uses_it(
    tmp_path: Path, recorded: tuple[bytes, bytes], frame: int
) -> None:
    file, content = recorded
    damaged = bytearray(content)
    damaged[32 + frame * FRAME + 2000] ^= 1
    log = read_log(bytes(damaged))
    assert log.ignored_frames > 0
    assert rows_with_our_pages(tmp_path, file, log) == rows_for_sqlite(
        tmp_path, file, bytes(damaged)
    )


def test_a_log_that_ends_within_a_commit_has_that_commit_left_out(
    recorded: tuple[bytes, bytes],
) -> None:
    _, content = recorded
    assert read_log(content[:-FRAME]).ignored_frames > 0
    assert read_log(content[: -FRAME // 2]).ignored_frames > 0


def test_frames_of_an_earlier_run_are_no_fault(recorded: tuple[bytes, bytes]) -> None:
    _, content = recorded
    old = content[32 : 32 + FRAME]
    stale = old[:8] + struct.pack(">II", 1, 2) + old[16:]
    assert read_log(content + stale) == read_log(content)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"x" * 10, "has only 10 bytes"),
        (b"x" * 5000, "has no header"),
    ],
)
def test_what_is_no_log_is_named(content: bytes, fault: str) -> None:
    assert fault in str(read_log(content).fault)


def test_a_damaged_header_makes_the_whole_log_unused(recorded: tuple[bytes, bytes]) -> None:
    _, content = recorded
    damaged = content[:12] + b"\xff" + content[13:]
    assert "header of the write-ahead log is damaged" in str(read_log(damaged).fault)
    assert read_log(damaged).pages == {}


def test_no_log_has_nothing() -> None:
    assert read_log(b"") == Log()
