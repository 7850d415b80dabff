"""How a mount begins and ends: what may be in the way, and that none is left behind."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.calls import listed, refusal
from tests.fuse.daemon import WITHIN_S, Daemon

WRITER = """
import os
turn = 0
try:
    while True:
        turn += 1
        descriptor = os.open(f"f.tmp.{os.getpid()}.{turn}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.write(descriptor, b"x")
        os.close(descriptor)
        os.rename(f"f.tmp.{os.getpid()}.{turn}", "f")
except OSError:
    pass
"""

PAGERS = 2

PAGER = """
import mmap, os, sys
try:
    os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
    while True:
        descriptor = os.open("f", os.O_RDWR)
        os.pwrite(descriptor, os.urandom(20_000), 0)
        os.pread(descriptor, 20_000, 0)
        with mmap.mmap(descriptor, 20_000) as mapping:
            mapping[5000:5001] = b"y"
        os.close(descriptor)
except (OSError, ValueError):
    pass
"""

NewDaemon = Callable[[], Daemon]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_the_tree_is_there_again(
    new_daemon: NewDaemon, number: signal.Signals
) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    (daemon.mountpoint / "f").write_bytes(b"text")
    assert daemon.stop(number) == 0
    assert not daemon.is_mounted
    assert listed(daemon.mountpoint) == []
    daemon.start("-l")
    assert (daemon.mountpoint / "f").read_bytes() == b"text"
    assert daemon.stop() == 0
    assert daemon.complaints == []


def test_a_missing_mount_point_is_made(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    assert daemon.stop() == 0
    assert stat.S_IMODE(daemon.mountpoint.stat().st_mode) == 0o750


def test_a_mount_point_that_is_not_empty_is_refused(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.mountpoint.mkdir()
    (daemon.mountpoint / ".hidden").touch()
    assert "mountpoint is not empty" in daemon.fail_to_start("-l")
    assert not daemon.is_mounted


def test_a_mount_point_that_is_no_directory_is_refused(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.mountpoint.touch()
    assert "cannot mount on" in daemon.fail_to_start("-l")


def test_a_mount_that_is_alive_is_left_alone(new_daemon: NewDaemon, daemon: Daemon) -> None:
    second = new_daemon()
    second.mountpoint = daemon.mountpoint
    assert "is mounted on" in second.fail_to_start("-l")
    assert (daemon.mountpoint / ".version").exists()
    second.mountpoint = second.run_dir


def test_the_dead_mounts_of_crashed_predecessors_are_taken_away(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    for turn in range(2):
        daemon.start("-l")
        assert {f"f{before}" for before in range(turn)} <= set(listed(daemon.mountpoint))
        (daemon.mountpoint / f"f{turn}").write_bytes(b"text")
        daemon.kill()
        assert refusal(os.statvfs, daemon.mountpoint) == errno.ENOTCONN
    daemon.start("-l")
    assert (daemon.mountpoint / "f1").read_bytes() == b"text"
    assert daemon.stop() == 0
    assert not daemon.is_mounted


def test_an_unmount_from_outside_ends_it_cleanly(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    subprocess.run(["umount", str(daemon.mountpoint)], check=True)
    assert daemon.wait() == 0
    assert daemon.complaints == []


def test_what_is_mounted_instead_after_an_unmount_from_outside_stays(
    new_daemon: NewDaemon,
) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    held = os.open(daemon.mountpoint / ".version", os.O_RDONLY)
    subprocess.run(["umount", "--lazy", str(daemon.mountpoint)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(daemon.mountpoint)], check=True)
    (daemon.mountpoint / "mine").touch()
    os.close(held)
    assert daemon.wait() == 0
    assert listed(daemon.mountpoint) == ["mine"]
    subprocess.run(["umount", str(daemon.mountpoint)], check=True)


def test_it_ends_while_files_are_open_and_directories_in_use(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    (daemon.mountpoint / "d").mkdir()
    descriptor = os.open(daemon.mountpoint / "d" / "f", os.O_RDWR | os.O_CREAT, 0o640)
    user = subprocess.Popen(["sleep", "60"], cwd=daemon.mountpoint / "d")
    try:
        assert daemon.stop() == 0
        assert not daemon.is_mounted
        assert refusal(os.write, descriptor, b"x") in (errno.ENOTCONN, errno.ECONNABORTED)
    finally:
        os.close(descriptor)
        user.kill()
        user.wait(WITHIN_S)


@pytest.fixture
def load() -> Iterator[Callable[[Path], None]]:
    """Return what starts processes that use a directory until they fail.

    One replaces a file all the time, the others read, write and map what is there.
    """
    writers: list[subprocess.Popen[bytes]] = []

    def start(directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        writers.append(subprocess.Popen([sys.executable, "-c", WRITER], cwd=directory))
        while not (directory / "f").exists():
            assert writers[-1].poll() is None
        for number in range(PAGERS):
            command = [sys.executable, "-I", "-c", PAGER, f"pager{number}"]
            writers.append(subprocess.Popen(command, cwd=directory))
            while not (directory / command[-1]).exists():
                assert writers[-1].poll() is None

    yield start
    ends = {writer.wait(WITHIN_S) for writer in writers}
    # Who writes to a mapping of a file that nobody answers for gets a signal.
    assert ends <= {0, -signal.SIGBUS}


def test_it_ends_under_load(new_daemon: NewDaemon, load: Callable[[Path], None]) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    for name in ("a", "b", "c"):
        load(daemon.mountpoint / name)
    assert daemon.stop() == 0
    assert not daemon.is_mounted
    assert daemon.complaints == []


def test_it_can_be_killed_under_load(new_daemon: NewDaemon, load: Callable[[Path], None]) -> None:
    """It could not: a thread of its own waited for a lock that only its end would have freed."""
    daemon = new_daemon()
    for _ in range(5):
        daemon.start("-l")
        load(daemon.mountpoint)
        daemon.kill()
    daemon.start("-l")
    assert (daemon.mountpoint / "f").exists()
    assert daemon.stop() == 0
