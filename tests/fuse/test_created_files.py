"""Modes and owners of everything that a daemon makes outside of its mount."""

import grp
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.daemon import Daemon
from tests.fuse.tools import connect, porter_of, shared_memory_of

pytestmark = pytest.mark.needs("root", "fuse")

ROOT, GROUP = 0, grp.getgrnam("www-data").gr_gid

FOR_GOOD = {
    "state": (0o750, ROOT),
    "state/.pmxcfs.lockfile": (0o600, ROOT),
    "state/config.db": (0o600, ROOT),
    "state/history.db": (0o600, ROOT),
    "run": (0o750, GROUP),
    "rrd/pve-vm-9.0": (0o750, ROOT),
    "rrd/pve-vm-9.0/100": (0o644, ROOT),
}
WHILE_IT_RUNS = FOR_GOOD | {
    "state/config.db-shm": (0o600, ROOT),
    "state/config.db-wal": (0o600, ROOT),
    "state/history.db-shm": (0o600, ROOT),
    "state/history.db-wal": (0o600, ROOT),
    "run/control.sock": (0o660, GROUP),
    "run/status.sock": (0o660, GROUP),
    "run.pid": (0o644, ROOT),
}
AFTER_ITS_END = FOR_GOOD | {"run/cfs-restart-flag": (0o440, GROUP)}


def created(directory: Path, *ignored: Path) -> dict[str, tuple[int, int]]:
    """Return mode and group of all that is below a directory; everything has to be root's."""
    found = {}
    for parent, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if Path(parent, name) not in ignored]
        for name in (*folders, *files):
            stat = Path(parent, name).lstat()
            assert stat.st_uid == ROOT
            path = str(Path(parent, name).relative_to(directory))
            found[path] = (stat.st_mode & 0o7777, stat.st_gid)
    return found


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_nobody_else_can_write_to_what_is_made_or_read_what_is_secret(
    new_daemon: Callable[[], Daemon], umask: int
) -> None:
    daemon = new_daemon()
    base = daemon.state_dir.parent
    daemon.rrd_dir.mkdir()
    before = os.umask(umask)
    try:
        daemon.start("-l", "--history=1")
    finally:
        os.umask(before)
    client, key = connect(daemon), b"rrd/pve2.3-vm/100".ljust(256, b"\0")
    sample = b"1000:vm:running:0:%d:2:0.1:512:256:1000:10:1:2:3:4\0" % time.time()
    assert client.ask(4, key + sample) == (0, b"")
    while not (daemon.rrd_dir / "pve-vm-9.0/100").exists():
        time.sleep(0.01)
    ours = (daemon.mountpoint, daemon.rrd_dir)
    assert created(base, daemon.mountpoint) == WHILE_IT_RUNS | _as_it_was(*ours, base=base)
    [memory] = shared_memory_of(porter_of(daemon))
    others = [file for file in Path("/dev/shm", memory).iterdir() if file.stat().st_mode & 0o007]
    assert others == []
    client.close()
    assert daemon.stop() == 0
    assert created(base) == AFTER_ITS_END | _as_it_was(*ours, base=base)


def _as_it_was(*paths: Path, base: Path) -> dict[str, tuple[int, int]]:
    """Return the directories that the test, or the caller of the daemon, has made itself."""
    return {
        str(path.relative_to(base)): (path.lstat().st_mode & 0o7777, path.lstat().st_gid)
        for path in paths
        if path.exists() and not path.is_mount()
    }
