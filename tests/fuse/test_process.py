"""The daemon as a process: starting, refusing to start, and ending, on a real mount."""

import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse")]

WAIT_S = 30


@dataclass
class Place:
    """Where one daemon lives, and the processes started there."""

    root: Path
    started: list[subprocess.Popen[str]]

    @property
    def mount(self) -> Path:
        return self.root / "mnt"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def pid_file(self) -> Path:
        return self.root / "run.pid"

    def command(self, *options: str) -> list[str]:
        paths = {
            "--mountpoint": self.mount,
            "--state-dir": self.state,
            "--run-dir": self.root / "run",
            "--corosync-conf": self.root / "corosync.conf",
            "--nodename": "testnode",
        }
        words = [f"{option}={path}" for option, path in paths.items()]
        return [sys.executable, "-m", "pmxcfs", *words, *options]

    def start(self, *options: str) -> int:
        """Start in the background; return the daemon's pid."""
        ended = subprocess.run(
            self.command(*options), capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return int(self.pid_file.read_text())

    def refuse(self, *options: str, status: int = 255) -> str:
        """Try to start; return what a refusal with this status says."""
        ended = subprocess.run(
            self.command(*options), capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert ended.returncode == status, ended
        return ended.stderr

    def start_foreground(self, *options: str) -> subprocess.Popen[str]:
        daemon = subprocess.Popen(
            self.command("-f", *options), stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.started.append(daemon)
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if "ready" in line:
                return daemon
        raise AssertionError(f"ended with {daemon.wait()} before it was ready")

    def is_mounted(self) -> bool:
        return str(self.mount) in Path("/proc/mounts").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, [])
    yield place
    for daemon in place.started:
        daemon.kill()
        daemon.communicate()
    if place.pid_file.exists():
        stop(int(place.pid_file.read_text()), signal.SIGKILL)
    subprocess.run(["umount", "-l", place.mount], capture_output=True, check=False)


def stop(pid: int, number: signal.Signals) -> None:
    """Send a signal to a daemon in the background, and wait for its end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    os.kill(pid, number)
    with os.fdopen(handle) as watched:
        ended, _, _ = select.select([watched], [], [], WAIT_S)
    assert ended, f"process {pid} is still there {WAIT_S} s after {number.name}"


def test_the_command_returns_when_the_mount_is_usable(place: Place) -> None:
    pid = place.start()
    (place.mount / "a").write_text("x")
    assert place.is_mounted()
    assert stat.S_IMODE(place.pid_file.stat().st_mode) == 0o644
    assert os.getsid(pid) == pid
    assert place.pid_file.read_text() == f"{pid}\n"


def test_in_the_background_it_holds_no_terminal_and_stays_where_it_was_started(
    place: Place,
) -> None:
    pid = place.start()
    process, null = Path(f"/proc/{pid}"), Path(os.devnull)
    assert {(process / "fd" / number).readlink() for number in "012"} == {null}
    assert (process / "cwd").readlink() == Path.cwd()


def test_a_dump_of_what_a_clean_end_leaves_becomes_the_same_tree_again(place: Place) -> None:
    """Tools that move a node to another cluster keep such a dump, and remove config.db alone."""
    pid = place.start("-l")
    (place.mount / "d").mkdir()
    (place.mount / "d" / "näme").write_bytes(bytes(range(256)))
    (place.mount / "empty").touch()
    names = ("d", "d/näme", "empty")
    before = [(place.mount / name).stat().st_ino for name in names]
    stop(pid, signal.SIGTERM)
    database = place.state / "config.db"
    dump = subprocess.run(["sqlite3", database, ".dump"], check=True, capture_output=True).stdout
    database.unlink()
    subprocess.run(["sqlite3", database], input=dump, check=True)
    place.start("-l")
    assert (place.mount / "d" / "näme").read_bytes() == bytes(range(256))
    assert [(place.mount / name).stat().st_ino for name in names] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(place: Place, number: signal.Signals) -> None:
    daemon = place.start_foreground()
    (place.mount / "a").write_text("x")
    daemon.send_signal(number)
    assert daemon.wait(WAIT_S) == 0
    assert not place.is_mounted()
    assert not place.pid_file.exists()
    assert sorted(path.name for path in place.state.iterdir()) == [".pmxcfs.lockfile", "config.db"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM])
def test_a_signal_without_a_meaning_ends_it_as_it_ends_others(
    place: Place, number: signal.Signals
) -> None:
    daemon = place.start_foreground("-l")
    (place.mount / "a").write_text("x")
    daemon.send_signal(number)
    assert daemon.wait(WAIT_S) == -number
    assert place.pid_file.exists()  # as after any crash
    place.pid_file.unlink()


def test_the_end_of_who_reads_from_it_is_no_reason_to_end(place: Place) -> None:
    daemon = place.start_foreground("-l")
    daemon.send_signal(signal.SIGPIPE)
    (place.mount / "a").write_text("x")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(WAIT_S) == 0


def test_what_it_makes_on_the_host_is_not_for_others_whatever_its_starters_umask(
    place: Place,
) -> None:
    before = os.umask(0)
    try:
        daemon = place.start_foreground("-l")
    finally:
        os.umask(before)
    assert "\nUmask:\t0027\n" in Path(f"/proc/{daemon.pid}/status").read_text()
    for made in (place.state, place.root / "run"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o750
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in made.iterdir()}
        assert modes
        assert {name for name, mode in modes.items() if mode & 0o007} == set()


def test_an_external_unmount_ends_it_cleanly(place: Place) -> None:
    daemon = place.start_foreground()
    subprocess.run(["umount", place.mount], check=True)
    assert daemon.wait(WAIT_S) == 0


def test_the_restart_flag_is_there_between_a_clean_end_and_the_next_start(place: Place) -> None:
    flag = place.root / "run" / "cfs-restart-flag"
    stop(place.start(), signal.SIGTERM)
    assert stat.S_IMODE(flag.stat().st_mode) == 0o440
    place.start()
    assert not flag.exists()


def test_files_are_there_after_a_restart(place: Place) -> None:
    pid = place.start()
    (place.mount / "a").write_text("kept")
    stop(pid, signal.SIGTERM)
    place.start()
    assert (place.mount / "a").read_text() == "kept"


def test_a_killed_daemon_loses_nothing_and_its_dead_mount_is_cleared(place: Place) -> None:
    pid = place.start()
    (place.mount / "a").write_text("kept")
    stop(pid, signal.SIGKILL)
    with pytest.raises(OSError, match="Transport endpoint"):
        place.mount.stat()
    place.start()
    assert (place.mount / "a").read_text() == "kept"


def test_an_outside_reader_of_the_database_takes_nothing_away(place: Place) -> None:
    """The reference loses rows here: it forks after opening, so it holds no locks."""
    pid = place.start()
    for name in ("before", "after"):
        (place.mount / name).write_text(name)
        query = ["sqlite3", str(place.state / "config.db"), "SELECT count(*) FROM tree"]
        subprocess.run(query, check=True, capture_output=True)
    stop(pid, signal.SIGKILL)
    place.start()
    assert (place.mount / "after").read_text() == "after"


def test_a_mount_point_that_is_not_empty_is_refused(place: Place) -> None:
    place.mount.mkdir()
    (place.mount / ".hidden").touch()
    assert "not empty" in place.refuse()
    assert not place.is_mounted()


def test_a_damaged_database_is_refused_with_its_name(place: Place) -> None:
    place.state.mkdir()
    (place.state / "config.db").write_bytes(b"this is no database" * 500)
    assert "config.db" in place.refuse(status=65)
    assert "config.db" in place.refuse("-f", status=65)
    assert not place.is_mounted()


def test_without_corosync_conf_it_is_standalone(place: Place) -> None:
    place.start()
    assert (place.mount / "local").readlink() == Path("nodes/testnode")
    assert stat.S_IMODE((place.mount / "local").lstat().st_mode) == 0o755


def test_a_new_database_takes_over_the_hosts_corosync_conf(place: Place) -> None:
    text = "totem {\n  config_version: 1\n}\n"
    (place.root / "corosync.conf").write_text(text)
    place.start()
    assert (place.mount / "corosync.conf").read_text() == text
    with pytest.raises(PermissionError):
        (place.mount / "a").write_text("no corosync runs, so there is no quorum")


def test_a_corosync_conf_that_is_made_counts_from_the_next_start_on(place: Place) -> None:
    text = "totem {\n  config_version: 3\n}\n"
    pid = place.start()
    (place.mount / "corosync.conf").write_text(text)
    (place.mount / "a").write_text("still for itself")
    stop(pid, signal.SIGTERM)
    assert not (place.root / "corosync.conf").exists()
    place.start()
    with pytest.raises(PermissionError):
        (place.mount / "a").write_text("a cluster now, and no corosync")
    assert _text_once_there(place.root / "corosync.conf") == text


def _text_once_there(path: Path) -> str:
    give_up_s = time.monotonic() + WAIT_S
    while not path.exists() and time.monotonic() < give_up_s:
        time.sleep(0.05)
    return path.read_text()


def test_two_starts_are_never_of_the_same_time(place: Place) -> None:
    seen = []
    for _ in range(3):
        pid = place.start("-l")
        seen.append(json.loads((place.mount / ".version").read_text())["starttime"])
        stop(pid, signal.SIGKILL)
    assert len(set(seen)) == 3


def test_local_mode_takes_over_nothing_and_is_writable(place: Place) -> None:
    (place.root / "corosync.conf").write_text("totem {\n  config_version: 1\n}\n")
    place.start("-l")
    assert not (place.mount / "corosync.conf").exists()
    (place.mount / "a").write_text("x")
