"""The file system is full when statfs says so."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from tests.fuse.calls import put, refusal
from tests.fuse.daemon import Daemon

MIB = 1024 * 1024


def test_content_ends_at_128_mib_and_begins_again_below(new_daemon: Callable[[], Daemon]) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    for number in range(128):
        (daemon.mountpoint / f"f{number}").write_bytes(bytes(MIB))
    assert os.statvfs(daemon.mountpoint).f_bavail == 0
    one_more: Path = daemon.mountpoint / "one_more"
    one_more.touch()
    assert refusal(put, one_more, b"x", 0) == errno.ENOSPC
    assert refusal(os.truncate, one_more, 1) == errno.ENOSPC
    assert put(daemon.mountpoint / "f0", b"over", 0) == 4
    assert refusal(put, daemon.mountpoint / "f0", b"x", MIB) == errno.EFBIG
    (daemon.mountpoint / "f1").unlink()
    assert put(one_more, b"x", 0) == 1
    daemon.stop()
    levels = [line for line in daemon.complaints if "near a limit" in line]
    assert ["80" in levels[0], "100" in levels[1], len(levels)] == [True, True, 2]
