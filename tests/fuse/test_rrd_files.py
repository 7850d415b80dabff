"""Metrics that a management tool publishes through the IPC service of a real daemon."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rrdtool
from pmxcfs_lab.eventually import eventually

from tests.e2e.ipc_client import SET_STATUS, Connection
from tests.fuse.daemon import Daemon

WITHIN_S = 20.0
EVERY_S = 0.02
MESSAGES = 500


class Publisher:
    """A tool that publishes the metrics of one storage, a second after the other."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = Connection(daemon.ipc_name.encode())
        self.last_s = int(time.time()) - 600
        self.file = daemon.rrd_dir / "pve-storage-9.0" / "n" / "s"

    def publish(self) -> None:
        self.last_s += 1
        value = b"rrd/pve2-storage/n/s".ljust(256, b"\0") + b"%d:10:5\0" % self.last_s
        assert self._connection.ask(SET_STATUS, value) == (0, b"")

    def is_written(self) -> None:
        assert self.file.is_file()
        assert rrdtool.last(str(self.file)) == self.last_s

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def daemon(new_daemon: Callable[[], Daemon]) -> Daemon:
    return new_daemon()


@pytest.fixture
def publisher(daemon: Daemon) -> Iterator[Publisher]:
    daemon.rrd_dir.mkdir()
    daemon.start("-l")
    publisher = Publisher(daemon)
    yield publisher
    publisher.close()
    assert daemon.stop() == 0


def test_what_a_tool_publishes_is_shown_and_written(daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish()
    eventually(publisher.is_written, within_s=WITHIN_S, every_s=EVERY_S)
    shown = (daemon.mountpoint / ".rrd").read_text()
    assert shown == f"pve2-storage/n/s:{publisher.last_s}:10:5\n"
    state = publisher.file.stat()
    assert (state.st_uid, state.st_gid, oct(state.st_mode)) == (0, 0, "0o100644")
    assert oct(publisher.file.parent.stat().st_mode) == "0o40750"
    assert daemon.complaints == []


@pytest.fixture
def rrdcached(daemon: Daemon, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    paths = ("-p", str(tmp_path / "rrdcached.pid"), "-b", str(tmp_path))
    process = subprocess.Popen(
        ["rrdcached", "-g", "-l", f"unix:{daemon.rrdcached_socket}", *paths],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            assert client.connect_ex(str(daemon.rrdcached_socket)) == 0

    eventually(listens, within_s=WITHIN_S, every_s=EVERY_S)
    yield process
    process.kill()
    process.wait(WITHIN_S)


@pytest.mark.needs("rrdcached")
def test_a_hanging_rrdcached_holds_up_neither_tools_nor_the_mount_nor_the_end(
    daemon: Daemon, rrdcached: subprocess.Popen[bytes], publisher: Publisher
) -> None:
    os.kill(rrdcached.pid, signal.SIGSTOP)
    for number in range(MESSAGES):  # one that waits takes two seconds
        publisher.publish()
        (daemon.mountpoint / "file").write_text(f"{number}")

    def is_said() -> None:
        assert [line for line in daemon.log if "rrdcached does not answer" in line]

    eventually(is_said, within_s=WITHIN_S, every_s=EVERY_S)
    assert (daemon.mountpoint / "file").read_text() == f"{MESSAGES - 1}"
    assert f":{publisher.last_s}:10:5" in (daemon.mountpoint / ".rrd").read_text()
    assert len(daemon.complaints) == 1
