"""Asks corosync itself, in a process of its own that cannot keep us: does it run, does it answer?

The daemon learns only when it needs corosync that this one hangs; whoever asks wants to know now.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ANSWER_WAIT_S_MAX = 3.0
"""A corosync that works answers within milliseconds, on an overloaded machine in a second."""

_COMMAND = ("corosync-quorumtool", "-s")
_NUMBERS = {"expected": "Expected votes", "present": "Total votes", "needed": "Quorum"}


@dataclass(frozen=True, slots=True)
class Corosync:
    """How corosync is, as seen from this node.

    Attributes:
        state: works, dead, hangs, or unknown if it could not be asked.
        pid: its process; None if there is none, or several.
        is_stopped: whether somebody has sent it SIGSTOP.
        votes: expected, present and needed, as far as it told.
    """

    state: str
    pid: int | None = None
    is_stopped: bool = False
    votes: dict[str, int] | None = None


def look_at_corosync() -> Corosync:
    """Return how corosync is; takes some seconds at the most, if it hangs of itself."""
    processes = _processes()
    pid = processes[0] if len(processes) == 1 else None
    if _is_stopped(pid):
        return Corosync("hangs", pid, is_stopped=True)
    try:
        completed = subprocess.run(
            _COMMAND, capture_output=True, text=True, timeout=ANSWER_WAIT_S_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return Corosync("hangs", pid)
    except OSError:
        return Corosync("dead" if not processes else "unknown", pid)
    votes = votes_in(completed.stdout)
    if votes is not None:
        return Corosync("works", pid, votes=votes)
    return Corosync("dead" if not processes else "unknown", pid)


def votes_in(text: str) -> dict[str, int] | None:
    """Read what corosync-quorumtool prints; None if it has told no votes."""
    votes = {}
    for key, label in _NUMBERS.items():
        found = re.search(rf"^{label}:\s+(\d+)", text, re.MULTILINE)
        if found is None:
            return None
        votes[key] = int(found[1])
    return votes


def _processes() -> list[int]:
    """Return the processes called corosync that we can see."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal() and _read(directory / "comm") == "corosync\n":
            found.append(int(directory.name))
    return found


def _is_stopped(pid: int | None) -> bool:
    words = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return words[:1] == ["T"]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
