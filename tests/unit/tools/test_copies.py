"""A copy has everything that is committed, and taking it changes nothing for anybody."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.tools import copies
from pmxcfs.tools.checking import examine
from pmxcfs.tools.copies import copy_database, private_copy
from pmxcfs.tools.snapshots import take_snapshot

ROOT = Path(__file__).parents[3]

OWNER = """
import os, sys
from pathlib import Path
from pmxcfs.database import Database
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Write
database = Database.open(Path(sys.argv[1]), 5)
memdb = Memdb(database.load(), 0)
if sys.argv[2] == "forked" and os.fork():
    os._exit(0)  # and the locks are gone, while the child goes on with the connection
print("ready", flush=True)
for line in sys.stdin:
    word, _, name = line.strip().partition(" ")
    if word == "die":
        os._exit(0)
    if word == "close":
        database.close()
        break
    for operation in (Create(name.encode()), Write(name.encode(), 0, name.encode() * 9000)):
        database.commit(memdb.apply(operation, 1, 6, 0).changes)
    print("done", flush=True)
"""


class Owner:
    """Another process that has a database open, as a daemon has."""

    def __init__(self, path: Path, manner: str) -> None:
        command = [sys.executable, "-c", OWNER, str(path), manner]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        if manner == "forked":
            self._process.wait(10)  # its locks go with it, not before
        self._expect("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.read()
        self._process.stdout.close()
        self._process.wait(10)

    def add(self, name: str) -> None:
        self.tell(f"add {name}")
        self._expect("done")

    def tell(self, line: str) -> None:
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)

    def _expect(self, word: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == word


@pytest.fixture(params=["with locks", "forked"])
def owner(request: pytest.FixtureRequest, path: Path) -> Iterator[Owner]:
    """Yield a daemon with its locks, and one that went to the background after it opened."""
    with Owner(path, request.param) as owner:
        yield owner


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "config.db"


def names_in(path: Path) -> set[bytes]:
    examination = examine(path)
    assert examination.problems == ()
    return {entry.name for entry in examination.placement.tree.entries() if entry.inode}


def state_of(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        found.name: (found.stat().st_ino, found.read_bytes()) for found in path.parent.iterdir()
    }


def test_a_database_in_use_is_copied_with_what_is_only_in_its_log(path: Path, owner: Owner) -> None:
    owner.add("one")
    owner.add("two")
    before = state_of(path)
    assert set(before) == {"config.db", "config.db-shm", "config.db-wal"}
    assert names_in(path) == {b"one", b"two"}
    assert state_of(path) == before


def test_its_owner_goes_on_as_if_nothing_had_been(path: Path, owner: Owner) -> None:
    owner.add("before")
    names_in(path)
    owner.add("after")
    assert names_in(path) == {b"before", b"after"}
    owner.tell("die")
    with Owner(path, "with locks") as heir:
        heir.tell("close")
    assert names_in(path) == {b"before", b"after"}


def test_a_snapshot_of_a_database_in_use_is_for_the_owner_only(
    path: Path, tmp_path: Path, owner: Owner
) -> None:
    owner.add("one")
    written = take_snapshot(path, tmp_path / "copy.db")
    assert written.stat().st_mode & 0o777 == 0o600
    assert names_in(written) == {b"one"}


def test_a_database_whose_owner_crashed_keeps_its_log(path: Path) -> None:
    with Owner(path, "with locks") as owner:
        owner.add("one")
        owner.tell("die")
    before = state_of(path)
    assert "config.db-wal" in before
    assert names_in(path) == {b"one"}
    assert state_of(path) == before


def test_a_copy_from_another_host_needs_only_the_file_and_its_log(
    path: Path, tmp_path: Path
) -> None:
    with Owner(path, "with locks") as owner:
        owner.add("one")
        owner.tell("die")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.db", "config.db-wal"):
        shutil.copy(path.with_name(name), elsewhere)
    before = state_of(elsewhere / "config.db")
    assert names_in(elsewhere / "config.db") == {b"one"}
    assert state_of(elsewhere / "config.db") == before


def test_a_closed_database_is_copied_byte_by_byte(database: Path, tmp_path: Path) -> None:
    copy_database(database, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == database.read_bytes()


def test_a_private_copy_is_for_the_owner_only_and_gone_afterwards(database: Path) -> None:
    database.chmod(0o644)
    with private_copy(database) as copy:
        assert copy.stat().st_mode & 0o777 == 0o600
        assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert not copy.parent.exists()


def test_a_database_that_is_written_meanwhile_is_copied_again(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_copy = shutil.copyfile
    calls: list[Path] = []

    def copy_and_write(source: Path, target: Path) -> None:
        really_copy(source, target)
        calls.append(source)
        if len(calls) < 3:
            with source.open("ab") as file:
                file.write(b"x")

    monkeypatch.setattr(shutil, "copyfile", copy_and_write)
    copy_database(database, tmp_path / "copy.db")
    assert len(calls) == 3
    assert (tmp_path / "copy.db").read_bytes() == database.read_bytes()


def test_a_file_that_may_change_without_a_new_time_is_too_young(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "PAUSE_S", 3600)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StorageError, match="is written to all the time"):
        copy_database(database, tmp_path / "copy.db")


@pytest.mark.parametrize(("name", "reason"), [("missing", "No such file"), (".", "directory")])
def test_what_cannot_be_copied_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(StorageError, match=f"cannot copy .*{reason}"):
        copy_database(tmp_path / name, tmp_path / "copy.db")


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file look as if it had just been written."""
    monkeypatch.setattr(copies, "PAUSE_S", 3600)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.usefixtures("no_time")
def test_a_database_that_is_written_all_the_time_is_copied_under_its_owners_locks(
    path: Path,
) -> None:
    with Owner(path, "with locks") as owner:
        owner.add("one")
        before = state_of(path)
        assert names_in(path) == {b"one"}
        assert state_of(path) == before


@pytest.mark.usefixtures("no_time")
def test_an_owner_without_locks_that_writes_all_the_time_is_no_guess(path: Path) -> None:
    with Owner(path, "forked") as owner:
        owner.add("one")
        with pytest.raises(StorageError, match="is written to all the time; stop the daemon"):
            names_in(path)
