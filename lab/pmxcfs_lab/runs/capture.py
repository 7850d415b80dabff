"""Frames between the nodes while a run goes on: tcpdump in the switch's network namespace."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmxcfs_lab import processes
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces.provider import SWITCH
from pmxcfs_lab.runs.folder import CAPTURE

FRAMES_MAX = 500_000
"""Then the capture ends, at about 90 MB: a minute of heavy load on five nodes is 100 000 frames."""

FRAME_BYTES = 160
"""Of each frame: addresses, corosync's header and the begin of a message."""

HANDED_OVER_WITHIN_S = 1.2
"""The kernel gathers frames for up to a second before tcpdump gets them; told to end, it asks for
no more, and all frames of a short run would be missing."""

ENDS_WITHIN_S = 10.0


@contextmanager
def capturing(lab: str, folder: Path) -> Iterator[str | None]:
    """Write capture.pcap into a folder while the context lasts.

    Args:
        lab: name of a lab that is up.
        folder: of a run.

    Yields:
        None, or a sentence on why there is no capture here.
    """
    switch = processes.read_record(Layout(lab).process(SWITCH))
    reason = _why_not(switch)
    if switch is None or reason is not None:
        yield reason
        return
    tcpdump = subprocess.Popen(
        _argv(switch.pid, folder / CAPTURE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield _first_words(tcpdump)
    finally:
        time.sleep(HANDED_OVER_WITHIN_S)
        tcpdump.terminate()
        try:
            tcpdump.communicate(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            tcpdump.kill()
            tcpdump.communicate()


def _why_not(switch: processes.ProcessRecord | None) -> str | None:
    if shutil.which("tcpdump") is None:
        return "there is no tcpdump on this machine"
    if switch is None or not processes.is_alive(switch):
        return "this lab's nodes have no switch of ours"
    return None


def _argv(switch_pid: int, path: Path) -> list[str]:
    """Return the command. Each frame is taken once, where it comes in from a node."""
    enter = ["nsenter", f"--net=/proc/{switch_pid}/ns/net"]
    source = ["-i", "any", "-y", "LINUX_SLL", "-Q", "in", "-s", str(FRAME_BYTES)]
    sink = ["-n", "-U", "-Z", "root", "-c", str(FRAMES_MAX), "-w", str(path)]
    return [*enter, "tcpdump", *source, *sink]


def _first_words(tcpdump: subprocess.Popen[bytes]) -> str | None:
    """Return when it listens, with None, or when it has failed, with what it said."""
    assert tcpdump.stderr is not None
    said = []
    for line in tcpdump.stderr:
        if b"listening on" in line:
            return None
        said.append(line.decode(errors="replace").strip())
    return f"tcpdump: {' '.join(said)}"
