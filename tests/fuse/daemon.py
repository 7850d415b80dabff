"""The daemon as a process, with its paths in one directory."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

NODE_NAME = "testnode"
WITHIN_S = 15

_REPOSITORY = Path(__file__).parents[2]
_COMPLAINTS = ("] warning:", "] error:", "] crit:")


class Daemon:
    """One daemon; start it, use ``mountpoint``, stop it."""

    def __init__(self, directory: Path, node_name: str = NODE_NAME) -> None:
        self.node_name = node_name
        self.mountpoint = directory / "mnt"
        self.state_dir = directory / "state"
        self.run_dir = directory / "run"
        self.corosync_conf = directory / "corosync.conf"
        self.ipc_name = f"pve2-{hashlib.sha256(bytes(directory)).hexdigest()[:16]}"
        self.rrd_dir = directory / "rrd"
        self.rrdcached_socket = directory / "rrdcached.sock"
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def command(self) -> list[str]:
        return [
            *(sys.executable, "-W", "error::DeprecationWarning", "-m", "pmxcfs", "-f"),
            *("--mountpoint", str(self.mountpoint)),
            *("--state-dir", str(self.state_dir)),
            *("--run-dir", str(self.run_dir)),
            *("--corosync-conf", str(self.corosync_conf)),
            *("--rrd-dir", str(self.rrd_dir)),
            *("--rrdcached-socket", str(self.rrdcached_socket)),
            *("--nodename", self.node_name),
            *("--ipc-name", self.ipc_name),
        ]

    @property
    def complaints(self) -> list[str]:
        """Return what the daemon logged above the level of information."""
        return [line for line in self.log if any(word in line for word in _COMPLAINTS)]

    @property
    def is_mounted(self) -> bool:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return any(line.split()[4] == str(self.mountpoint) for line in mounts)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str, without_network: bool = False) -> None:
        """Start and wait until it says that it is ready.

        Without network it finds no corosync, whatever else runs on this machine.
        """
        prefix = ["unshare", "--net"] if without_network else []
        self._process = subprocess.Popen(
            [*prefix, *self.command, *options],
            cwd=_REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if "] info: ready" in line:
                break
        else:
            raise AssertionError("did not start: " + "\n".join(self.log))
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()

    def fail_to_start(self, *options: str) -> str:
        """Start, expect a failure, and return what was said."""
        ended = subprocess.run(
            [*self.command, *options],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert ended.returncode == 255, ended.stderr
        return ended.stderr

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit status."""
        os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        assert self._process is not None
        status = self._process.wait(WITHIN_S)
        if self._reader is not None:
            self._reader.join(WITHIN_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return status

    def kill(self) -> None:
        """End it without letting it clean up, if it runs."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self.wait()

    def detach(self) -> None:
        """Take its mount away, if there is one."""
        while self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.mountpoint)], check=True)

    def assert_alive(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, "\n".join(self.log)

    def status(self) -> dict[str, Any]:
        """Return what the status socket says."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(WITHIN_S)
            client.connect(str(self.run_dir / "status.sock"))
            with client.makefile() as text:
                answer: dict[str, Any] = json.loads(text.readline())
        return answer

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.log.append(line.rstrip())
