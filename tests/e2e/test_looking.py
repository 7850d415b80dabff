"""Looking at a lab: `pmxcfs-lab watch` in a terminal, and captures of frames."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability
from pmxcfs_lab.runs.capture import capturing
from pmxcfs_lab.runs.folder import CallEvent, Run, RunWriter
from testinfra.host import Host

Nodes = Mapping[str, Host]

SHOWN_WITHIN_S = 40.0
ENDS_WITHIN_S = 15.0
LINES, COLUMNS = 40, 110
CTRL_C = b"\x03"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Screen:
    """A terminal in which the program runs."""

    def __init__(self, program: subprocess.Popen[bytes], terminal: int) -> None:
        self._program = program
        self._terminal = terminal
        self._text = ""

    def wait_for(self, pattern: str) -> None:
        """Return when something like this was shown after the last thing waited for."""
        deadline_s = time.monotonic() + SHOWN_WITHIN_S
        while not (found := re.search(pattern, self._text)):
            assert time.monotonic() < deadline_s, (pattern, self._text[-3000:])
            if select.select([self._terminal], [], [], 1.0)[0]:
                self._text += CONTROL.sub("", os.read(self._terminal, 65536).decode())
        self._text = self._text[found.end() :]

    def end(self) -> int:
        """Type Ctrl-C and return the program's exit status."""
        os.write(self._terminal, CTRL_C)
        deadline_s = time.monotonic() + ENDS_WITHIN_S
        while self._program.poll() is None:
            assert time.monotonic() < deadline_s
            with suppress(OSError):  # the terminal's other end may be gone at any moment
                if select.select([self._terminal], [], [], 0.1)[0]:
                    os.read(self._terminal, 65536)
        return self._program.returncode


@contextmanager
def watching(lab: Lab, *options: str) -> Iterator[Screen]:
    terminal, inside = pty.openpty()
    words = [sys.executable, "-m", "pmxcfs_lab", "--lab", lab.name, "watch", "--every", "0.2"]
    termios.tcsetwinsize(inside, (LINES, COLUMNS))
    program = subprocess.Popen(
        ["setsid", "--ctty", *words, *options],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(inside)
    try:
        yield Screen(program, terminal)
    finally:
        program.kill()
        program.wait()
        os.close(terminal)


def test_the_screen_follows_members_quorum_and_the_network(lab: Lab, nodes: Nodes) -> None:
    whole = r"node3\s+up\s+up\s+yes\s+1 2 3\s+synced"
    with watching(lab) as screen:
        screen.wait_for(whole)
        lab.partition("3")
        screen.wait_for(r"node3\s+up\s+up\s+no\s+3\s")
        screen.wait_for(r"The network is cut: (node3 \| node1, node2|node1, node2 \| node3)")
        lab.heal()
        screen.wait_for(whole)
        screen.wait_for(r"No fault\.")
        assert screen.end() == 0


def test_the_last_calls_of_a_run_are_shown(lab: Lab, nodes: Nodes, tmp_path: Path) -> None:
    run = Run(7, ("node1",), "namespaces", "pmxcfs-lab run --seed 7", time.time())
    with (
        RunWriter(tmp_path / "run", run) as writer,
        watching(lab, "--run", str(tmp_path / "run")) as screen,
    ):
        screen.wait_for("0 waiting")
        writer.call(CallEvent(1.0, 1, "alice", "node2", "write", "/etc/pve/a", "invoke"))
        screen.wait_for("1 waiting")
        writer.call(CallEvent(1.25, 1, "alice", "node2", "write", "/etc/pve/a", "fail", "EACCES"))
        screen.wait_for(r"0\.8 fail/s")
        screen.wait_for(r"alice\s+node2\s+write\s+/etc/pve/a\s+fail EACCES\s+250 ms")
        assert screen.end() == 0


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_frames_between_the_nodes_are_captured(lab: Lab, nodes: Nodes, tmp_path: Path) -> None:
    with capturing(lab.name, tmp_path) as reason:
        assert reason is None
        nodes["node1"].run("head -c 65536 /dev/zero > /etc/pve/frames")
    read = ["tcpdump", "-n", "-r", str(tmp_path / "capture.pcap")]
    shown = subprocess.run(read, capture_output=True, text=True, check=True).stdout.splitlines()
    sent = [sum(f"IP {lab.plan.node(name).address}." in line for line in shown) for name in nodes]
    assert all(sent)
    assert sum(sent) == sum("IP 10.97.0." in line for line in shown)
    lab.trees_are_equal()


def test_without_a_switch_of_ours_there_is_no_capture(tmp_path: Path) -> None:
    with capturing("no-such-lab", tmp_path) as reason:
        assert reason is not None
    assert not (tmp_path / "capture.pcap").exists()
