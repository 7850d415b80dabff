"""Rights by path through the kernel, for root, the group and everybody else, and without quorum."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.calls import put, refusal
from tests.fuse.daemon import Daemon

WWW_DATA, NOBODY = 33, 65534

COROSYNC_CONF = """\
totem { version: 2
 cluster_name: x
 config_version: 1
}
nodelist { node { name: testnode
 nodeid: 1
 ring0_addr: 127.0.0.1
 }
}
"""

QUORATE = {
    "": 0o755,
    "nodes": 0o755,
    "nodes/n": 0o755,
    "nodes/n/openvz": 0o755,
    "nodes/n/openvz/7.mount": 0o740,
    "nodes/n/priv": 0o700,
    "nodes/n/priv/key": 0o600,
    "nodes/n/privx": 0o755,
    "nodes/n/privx/key": 0o640,
    "priv": 0o700,
    "priv/7.mount": 0o700,
    "priv/key": 0o600,
    "private": 0o640,
    "local": 0o755,
    ".version": 0o440,
    ".members": 0o440,
    ".vmlist": 0o440,
    ".debug": 0o640,
}
NOT_QUORATE = QUORATE | {
    "nodes": 0o555,
    "nodes/n": 0o555,
    "nodes/n/openvz": 0o555,
    "nodes/n/openvz/7.mount": 0o540,
    "nodes/n/priv": 0o500,
    "nodes/n/priv/key": 0o400,
    "nodes/n/privx": 0o555,
    "nodes/n/privx/key": 0o440,
    "priv": 0o500,
    "priv/7.mount": 0o500,
    "priv/key": 0o400,
    "private": 0o440,
    "local": 0o555,
}
DIRECTORIES = ("nodes/n/openvz", "nodes/n/priv", "nodes/n/privx", "priv")
FILES = (
    "nodes/n/openvz/7.mount",
    "nodes/n/priv/key",
    "nodes/n/privx/key",
    "priv/7.mount",
    "priv/key",
    "private",
)


def _populate(mount: Path) -> None:
    for directory in DIRECTORIES:
        (mount / directory).mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (mount / file).write_bytes(b"text")


def _modes(mount: Path) -> dict[str, int]:
    return {path: stat.S_IMODE(os.lstat(mount / path).st_mode) for path in QUORATE}


def _may(user: int, command: str, mount: Path) -> bool:
    """Whether a shell command in the mount succeeds for this user and group."""
    ended = subprocess.run(
        ["sh", "-c", command],
        cwd=mount,
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        check=False,
    )
    return ended.returncode == 0


def test_modes_and_owners_follow_the_path(mount: Path) -> None:
    _populate(mount)
    assert _modes(mount) == QUORATE
    for path in QUORATE:
        found = os.lstat(mount / path)
        assert (found.st_uid, found.st_gid) == (0, WWW_DATA)


def test_listings_show_the_same_modes(mount: Path) -> None:
    _populate(mount)
    for entry in os.scandir(mount / "priv"):
        expected = QUORATE.get(f"priv/{entry.name}")
        if expected is not None:
            assert stat.S_IMODE(entry.stat().st_mode) == expected


def test_the_group_reads_what_is_not_private_and_changes_nothing(mount: Path) -> None:
    _populate(mount)
    assert _may(WWW_DATA, "cat private .version", mount)
    for command in ("cat priv/key", "ls priv", "echo x > private", "echo x > new", "mkdir new"):
        assert not _may(WWW_DATA, command, mount)


def test_others_list_directories_and_read_no_file(mount: Path) -> None:
    _populate(mount)
    assert _may(NOBODY, "ls nodes/n . && readlink local", mount)
    for command in ("cat private", "cat .version", "ls priv", "rm private"):
        assert not _may(NOBODY, command, mount)


def test_moving_into_a_private_directory_hides_a_file_at_once(mount: Path) -> None:
    _populate(mount)
    (mount / "moved").write_bytes(b"text")
    assert _may(WWW_DATA, "cat moved", mount)
    (mount / "moved").rename(mount / "priv/moved")
    assert stat.S_IMODE((mount / "priv/moved").stat().st_mode) == 0o600
    (mount / "priv/moved").unlink()


@pytest.mark.needs("corosync")
def test_without_quorum_everything_is_read_only_and_stays_readable(
    new_daemon: Callable[[], Daemon],
) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    _populate(daemon.mountpoint)
    (daemon.mountpoint / "corosync.conf").write_text(COROSYNC_CONF)
    assert daemon.stop() == 0
    daemon.start(without_network=True)
    mount = daemon.mountpoint
    assert _modes(mount) == NOT_QUORATE
    assert (mount / "private").read_bytes() == b"text"
    for call, *arguments in (
        (put, mount / "private", b"x", 0),
        (put, mount / "private", b"x", 2**21),
        (os.truncate, mount / "private", 0),
        (os.open, mount / "private", os.O_WRONLY | os.O_TRUNC),
        ((mount / "new").touch,),
        ((mount / "new").mkdir,),
        (os.unlink, mount / "private"),
        (os.rmdir, mount / "nodes/n/privx"),
        (os.rename, mount / "private", mount / "new"),
        (os.utime, mount / "private"),
    ):
        assert refusal(call, *arguments) == errno.EACCES
    descriptor = os.open(mount / "private", os.O_RDWR)  # what is refused is the change
    assert os.pread(descriptor, 10, 0) == b"text"
    assert refusal(os.pwrite, descriptor, b"x", 0) == errno.EACCES
    assert refusal(os.ftruncate, descriptor, 0) == errno.EACCES
    os.close(descriptor)
    assert (mount / "private").read_bytes() == b"text"
    (mount / "private").chmod(0o640)
    os.chown(mount / "private", 0, WWW_DATA)
    (mount / ".debug").write_bytes(b"0\n")
    assert daemon.status()["quorate"] is False
    assert daemon.stop() == 0
