"""How a mount begins and ends: what may be in the way, and that none is left behind."""

import errno
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import listed, refusal
from tests.fuse.daemon import WITHIN_S, Daemon

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
    assert listed(daemon.mountpoint)
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
        assert len(listed(daemon.mountpoint)) == 8 + turn
        (daemon.mountpoint / f"f{turn}").write_bytes(b"text")
        daemon.kill()
        assert refusal(os.stat, daemon.mountpoint) == errno.ENOTCONN
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


def test_it_ends_under_load(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    script = "i=0; while :; do i=$((i+1)); echo x > f$i || exit; mv f$i g; done"
    writers = [
        subprocess.Popen(
            ["sh", "-c", script], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for directory in _directories(daemon.mountpoint, 3)
    ]
    for directory in _directories(daemon.mountpoint, 3):
        while not (directory / "g").exists():
            assert all(writer.poll() is None for writer in writers)
    assert daemon.stop() == 0
    assert not daemon.is_mounted
    for writer in writers:
        writer.communicate(timeout=WITHIN_S)
        assert writer.returncode != 0
    daemon.start("-l")
    assert all((daemon.mountpoint / f"d{n}" / "g").exists() for n in range(3))
    assert daemon.stop() == 0


def _directories(mount: Path, count: int) -> list[Path]:
    directories = [mount / f"d{number}" for number in range(count)]
    for directory in directories:
        directory.mkdir(exist_ok=True)
    return directories
