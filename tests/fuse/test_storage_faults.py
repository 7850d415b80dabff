"""The daemon on a disk that is full, locked, broken or stolen: a real mount, real files."""

import contextlib
import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.calls import put, refusal
from tests.fuse.daemon import Daemon

WAIT_S = 1.5
"""In these tests the daemon's patience ends after this long, except where a test says otherwise."""

PROMPT_S = 1
"""What must not wait for the disk is done within this time."""

SOON_S = 15

_FAULTY_DAEMON = """
import json, os, sys, time
from pathlib import Path
os.environ["PMXCFS_INTERPRETED"] = "1"  # what is compiled cannot be changed
from pmxcfs import checkpoints, patience
from pmxcfs.__main__ import main

control = Path(sys.argv.pop(1))
wait_s = float(sys.argv.pop(1))
if wait_s:
    patience.WAIT_S_MAX = wait_s
fdatasync = os.fdatasync

def watched(descriptor):
    with control.with_name("syncs").open("a") as syncs:
        print(os.readlink(f"/proc/self/fd/{descriptor}"), file=syncs)
    if control.with_name("fail").exists():
        raise OSError(5, "Input/output error")
    fdatasync(descriptor)

work = checkpoints.Checkpoints._work

def hanging(self):
    while control.with_name("hang").exists():
        time.sleep(0.01)
    work(self)

os.fdatasync = watched
checkpoints.Checkpoints._work = hanging
checkpoints.HOLD_S_MAX = 0.2
main()
"""


class FaultyDaemon(Daemon):
    """A daemon whose disk can be made to fail or hang, and that is less patient with it."""

    def __init__(self, directory: Path, wait_s: float = WAIT_S) -> None:
        super().__init__(directory)
        self.control = directory / "control"
        self.wait_s = wait_s

    @property
    def command(self) -> list[str]:
        words = super().command
        at = words.index("-m")
        program = ["-c", _FAULTY_DAEMON, str(self.control), str(self.wait_s)]
        return [*words[:at], *program, *words[at + 2 :]]

    @property
    def synced(self) -> list[str]:
        """Return the names of the files that were synced, in order."""
        file = self.control.with_name("syncs")
        return [Path(line).name for line in file.read_text().split()] if file.exists() else []

    def fail_syncs(self) -> None:
        self.control.with_name("fail").touch()

    def hang(self, *, hangs: bool) -> None:
        """Let no checkpoint end, or let them go on."""
        file = self.control.with_name("hang")
        file.touch() if hangs else file.unlink()

    def said(self, text: str) -> bool:
        return any(text in line for line in self.complaints)

    @property
    def database(self) -> Path:
        return self.state_dir / "config.db"


@contextlib.contextmanager
def running(daemon: FaultyDaemon) -> Iterator[FaultyDaemon]:
    """Start it, standalone and with a file named ``kept``; in the end it is well and stops."""
    try:
        daemon.start("-l")
        (daemon.mountpoint / "kept").write_text("kept")
        yield daemon
        daemon.assert_alive()
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        daemon.detach()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FaultyDaemon]:
    with running(FaultyDaemon(tmp_path)) as daemon:
        yield daemon


@pytest.fixture
def patient_daemon(tmp_path: Path) -> Iterator[FaultyDaemon]:
    """Return a daemon that waits as long as it does in earnest."""
    with running(FaultyDaemon(tmp_path, wait_s=0)) as daemon:
        yield daemon


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock in another process."""
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        yield
        assert holder.stdin is not None
        holder.stdin.close()


class Writer:
    """Somebody who writes a file and waits for as long as it takes."""

    def __init__(self, path: Path, data: bytes = b"new") -> None:
        self.error: OSError | None = None
        self.took_s = 0.0
        self._thread = threading.Thread(target=self._run, args=(path, data))
        self._thread.start()

    def _run(self, path: Path, data: bytes) -> None:
        start_s = time.monotonic()
        try:
            path.write_bytes(data)
        except OSError as error:
            self.error = error
        self.took_s = time.monotonic() - start_s

    @property
    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(SOON_S)
        assert not self._thread.is_alive()


def eventually(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"not within {SOON_S} s: {what}"
        time.sleep(0.02)


def look_around(daemon: Daemon, names: set[str]) -> None:
    """Read, list, stat and ask the status socket, all of it promptly."""
    start_s = time.monotonic()
    descriptor = os.open(daemon.mountpoint / "kept", os.O_RDONLY)
    assert os.pread(descriptor, 10, 0) == b"kept"
    assert os.fstat(descriptor).st_size == 4
    os.close(descriptor)
    assert {entry.name for entry in daemon.mountpoint.iterdir() if entry.is_file()} & {
        "kept",
        "new",
        "late",
    } == names
    assert (daemon.mountpoint / "new").exists() == ("new" in names)
    assert json.loads((daemon.mountpoint / ".version").read_text())
    assert daemon.status()["mode"] == "standalone"
    assert os.statvfs(daemon.mountpoint).f_files == 262144
    assert time.monotonic() - start_s < PROMPT_S


def rows(database: Path) -> set[str]:
    """Return the names that the database has on disk."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM tree WHERE inode > 0")}


# locked


def test_while_the_database_is_locked_writers_wait_and_all_else_goes_on(
    patient_daemon: FaultyDaemon,
) -> None:
    """Not within a directory in which somebody waits to make a file: the kernel locks that."""
    daemon = patient_daemon
    (daemon.mountpoint / "d").mkdir()
    with locked(daemon.database):
        writers = [
            Writer(daemon.mountpoint / "d" / "f"),
            Writer(daemon.mountpoint / "kept", b"over"),
        ]
        eventually(lambda: daemon.said("changes wait, reads go on"), "a warning")
        look_around(daemon, {"kept"})
        look_around(daemon, {"kept"})
        assert all(writer.is_waiting for writer in writers)
    for writer in writers:
        writer.join()
        assert writer.error is None
    assert (daemon.mountpoint / "kept").read_text() == "over"
    assert (daemon.mountpoint / "d" / "f").read_text() == "new"
    assert rows(daemon.database) == {"kept", "d", "f"}
    assert len(daemon.complaints) == 1


def test_a_lock_beyond_the_bound_is_an_error_for_every_writer_until_it_is_gone(
    daemon: FaultyDaemon,
) -> None:
    with locked(daemon.database):
        writer = Writer(daemon.mountpoint / "new")
        writer.join()
        assert writer.error is not None
        assert writer.error.errno == errno.EIO
        assert WAIT_S <= writer.took_s < WAIT_S + PROMPT_S
        start_s = time.monotonic()
        assert refusal((daemon.mountpoint / "late").touch) == errno.EIO
        assert refusal(put, daemon.mountpoint / "kept", b"x", 0) == errno.EIO
        assert time.monotonic() - start_s < PROMPT_S
        look_around(daemon, {"kept"})
        assert daemon.said("changes are refused until it can")
        assert daemon.status()["database_failed"] is True
    eventually(lambda: daemon.said("changes are taken again"), "a word of recovery")
    (daemon.mountpoint / "late").write_text("")
    look_around(daemon, {"kept", "late"})
    assert rows(daemon.database) == {"kept", "late"}
    assert daemon.status()["database_failed"] is False


def test_the_bound_is_ten_seconds(patient_daemon: FaultyDaemon) -> None:
    with locked(patient_daemon.database):
        writer = Writer(patient_daemon.mountpoint / "new")
        writer.join()
    assert writer.error is not None
    assert 10 <= writer.took_s < 10 + PROMPT_S


def test_a_locked_database_does_not_keep_the_daemon_from_ending(daemon: FaultyDaemon) -> None:
    with locked(daemon.database):
        writer = Writer(daemon.mountpoint / "new")
        eventually(lambda: daemon.said("changes wait"), "a warning")
        assert daemon.stop() == 0
    writer.join()
    assert writer.error is not None
    daemon.start("-l")
    look_around(daemon, {"kept"})


# slow


def test_a_disk_that_hangs_while_the_log_is_emptied_slows_changes_down_and_refuses_none(
    daemon: FaultyDaemon,
) -> None:
    """With 16 MiB in the log, changes wait for that to be brought into the database."""
    daemon.hang(hangs=True)
    start_s = time.monotonic()
    for number in range(24):
        (daemon.mountpoint / "kept").write_bytes(bytes([number]) * 2**20)
    assert time.monotonic() - start_s > 0.2
    assert daemon.status()["database_failed"] is False
    daemon.hang(hangs=False)
    assert (daemon.mountpoint / "kept").read_bytes() == bytes([23]) * 2**20


# full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 12 MB."""
    disk = tmp_path / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0755", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def daemon_on_small_disk(small_disk: Path, tmp_path: Path) -> Iterator[FaultyDaemon]:
    with running(FaultyDaemon(tmp_path)) as daemon:
        yield daemon


@pytest.fixture
def patient_daemon_on_small_disk(small_disk: Path, tmp_path: Path) -> Iterator[FaultyDaemon]:
    with running(FaultyDaemon(tmp_path, wait_s=0)) as daemon:
        yield daemon


def fill(disk: Path) -> Path:
    """Take all room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_is_an_error_and_no_restart_is_needed(
    small_disk: Path, daemon_on_small_disk: FaultyDaemon
) -> None:
    daemon = daemon_on_small_disk
    filler = fill(small_disk)
    writer = Writer(daemon.mountpoint / "new", bytes(500_000))
    eventually(lambda: daemon.said("changes wait, reads go on"), "a warning")
    writer.join()
    assert writer.error is not None
    assert writer.error.errno == errno.EIO
    seen = {path.name for path in daemon.mountpoint.iterdir() if path.is_file()} & {"kept", "new"}
    assert (daemon.mountpoint / "kept").read_text() == "kept"
    if "new" in seen:  # the creation found room for a few pages, the content did not
        assert (daemon.mountpoint / "new").read_bytes() == b""
    assert rows(daemon.database) == seen
    assert refusal((daemon.mountpoint / "late").touch) == errno.EIO
    filler.unlink()
    eventually(lambda: daemon.said("changes are taken again"), "a word of recovery")
    (daemon.mountpoint / "new").write_bytes(b"n" * 500_000)
    assert rows(daemon.database) == {"kept", "new"}
    daemon.stop()
    daemon.start("-l")
    assert (daemon.mountpoint / "new").read_bytes() == b"n" * 500_000


def test_room_in_time_is_no_error(
    small_disk: Path, patient_daemon_on_small_disk: FaultyDaemon
) -> None:
    daemon = patient_daemon_on_small_disk
    filler = fill(small_disk)
    writer = Writer(daemon.mountpoint / "new", bytes(500_000))
    eventually(lambda: daemon.said("changes wait, reads go on"), "a warning")
    filler.unlink()
    writer.join()
    assert writer.error is None
    assert (daemon.mountpoint / "new").stat().st_size == 500_000


def test_what_a_full_disk_refused_does_not_stay_in_the_kernels_pages(
    small_disk: Path, daemon_on_small_disk: FaultyDaemon
) -> None:
    daemon = daemon_on_small_disk
    kept = os.open(daemon.mountpoint / "kept", os.O_RDWR)
    assert os.pread(kept, 10, 0) == b"kept"
    filler = fill(small_disk)
    for refused in (b"x" * 128 * 1024, b"late"):  # one request; the first one waits for room
        assert refusal(os.pwrite, kept, refused, 0) == errno.EIO
        assert os.pread(kept, 10, 0) == b"kept"
        assert os.fstat(kept).st_size == 4
    filler.unlink()
    eventually(lambda: daemon.said("changes are taken again"), "a word of recovery")
    assert os.pread(kept, 10, 0) == b"kept"
    os.close(kept)


def test_small_writes_fill_a_disk_to_the_end_and_none_is_half_done(
    small_disk: Path, daemon_on_small_disk: FaultyDaemon
) -> None:
    """The log is emptied into the file now and then; both compete for the same room."""
    daemon = daemon_on_small_disk
    (small_disk / "ballast").write_bytes(bytes(7 << 20))
    written = 0
    with contextlib.suppress(OSError):
        while written < 400:
            (daemon.mountpoint / f"f{written}").write_bytes(bytes([written % 256]) * 20_000)
            written += 1
    assert 10 < written < 400
    for number in range(written):
        data = (daemon.mountpoint / f"f{number}").read_bytes()
        assert data == bytes([number % 256]) * 20_000
    (small_disk / "ballast").unlink()
    eventually(lambda: daemon.said("changes are taken again"), "a word of recovery")
    before = {path.name: path.read_bytes() for path in daemon.mountpoint.glob("f*")}
    daemon.stop()
    daemon.start("-l")
    assert {path.name: path.read_bytes() for path in daemon.mountpoint.glob("f*")} == before


# broken


def test_a_row_that_somebody_took_out_stops_changes_and_says_what_to_run(
    daemon: FaultyDaemon,
) -> None:
    with contextlib.closing(sqlite3.connect(daemon.database)) as connection:
        connection.execute("DELETE FROM tree WHERE name = 'kept'")
        connection.commit()
    assert refusal(put, daemon.mountpoint / "kept", b"x", 0) == errno.EIO
    assert (daemon.mountpoint / "kept").read_text() == "kept"
    assert refusal((daemon.mountpoint / "new").touch) == errno.EIO
    assert daemon.said(f"pmxcfs-db check {daemon.database}")
    assert daemon.said("no more changes until a restart")


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_that_is_taken_away_is_noticed_before_anything_is_lost(
    daemon: FaultyDaemon, how: str
) -> None:
    copy = daemon.database.read_bytes()
    aside = daemon.database.rename(daemon.state_dir / "aside.db")
    if how == "replaced":
        daemon.database.write_bytes(copy)
    assert refusal((daemon.mountpoint / "new").touch) == errno.EIO
    look_around(daemon, {"kept"})
    assert daemon.said("config.db is gone" if how == "deleted" else "config.db was replaced")
    daemon.database.unlink(missing_ok=True)
    aside.rename(daemon.database)


def test_a_database_that_is_taken_away_is_noticed_without_a_write(daemon: FaultyDaemon) -> None:
    aside = daemon.database.rename(daemon.state_dir / "aside.db")
    eventually(lambda: daemon.said("config.db is gone"), "the loss is noticed")
    aside.rename(daemon.database)


# synced


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def test_fsync_of_files_and_directories_syncs_the_write_ahead_log(daemon: FaultyDaemon) -> None:
    (daemon.mountpoint / "d").mkdir()
    assert daemon.synced == []
    for path in ("kept", "d", "."):
        sync_file(daemon.mountpoint / path)
    descriptor = os.open(daemon.mountpoint / "kept", os.O_WRONLY)
    os.write(descriptor, b"text")
    os.fdatasync(descriptor)
    os.close(descriptor)
    assert daemon.synced == ["config.db-wal"] * 4


def test_fsync_of_a_status_file_is_no_error(daemon: FaultyDaemon) -> None:
    sync_file(daemon.mountpoint / ".version")


def test_many_fsyncs_share_syncs(daemon: FaultyDaemon) -> None:
    threads = [
        threading.Thread(target=sync_file, args=(daemon.mountpoint / "kept",)) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    assert 1 <= len(daemon.synced) <= 50


def test_a_failing_sync_is_eio_and_stops_all_changes(daemon: FaultyDaemon) -> None:
    daemon.fail_syncs()
    for _ in range(2):
        assert refusal(sync_file, daemon.mountpoint / "kept") == errno.EIO
    assert refusal(put, daemon.mountpoint / "kept", b"x", 0) == errno.EIO
    assert (daemon.mountpoint / "kept").read_text() == "kept"
    assert daemon.said("cannot sync")


def test_a_file_opened_for_synchronous_writing_is_synced_by_each_write(
    daemon: FaultyDaemon,
) -> None:
    for flag in (os.O_SYNC, os.O_DSYNC):
        before = len(daemon.synced)
        put(daemon.mountpoint / "kept", b"x", 0, os.O_WRONLY | flag)
        assert len(daemon.synced) > before
