"""Looks at the daemon of a node; run on the node, with the standard library only.

    life_probe.py content | memory | spent | idle SECONDS

Prints one JSON object. What a daemon's own children cost counts as its own.
"""

import json
import os
import sys
import time
from pathlib import Path

MOUNT = Path("/etc/pve")
PID_FILE = Path("/run/pve-cluster.pid")
POLL_S = 0.002
CONTENT_S_MAX = 100.0


def when_content_is_there() -> dict[str, float]:
    """Return when the file that was made last could be read."""
    give_up_s = time.monotonic() + CONTENT_S_MAX
    while time.monotonic() < give_up_s:
        try:
            (MOUNT / "last").read_bytes()
        except OSError:
            time.sleep(POLL_S)
        else:
            return {"monotonic_s": time.monotonic()}
    raise SystemExit("the content did not come")


def processes() -> list[int]:
    """Return the daemon and its children."""
    daemon = int(PID_FILE.read_text())
    children = Path(f"/proc/{daemon}/task").glob("*/children")
    return [daemon, *(int(pid) for file in children for pid in file.read_text().split())]


def memory() -> dict[str, float]:
    """Return what the daemon has in memory, and what its children have of their own."""
    daemon, *children = processes()
    own = [fields(Path(f"/proc/{child}/smaps_rollup")) for child in children]
    own_kib = sum(rollup["Private_Clean"] + rollup["Private_Dirty"] for rollup in own)
    status = fields(Path(f"/proc/{daemon}/status"))
    return {
        "resident_mib": (status["VmRSS"] + own_kib) / 1024,
        "peak_mib": (status["VmHWM"] + own_kib) / 1024,
    }


def fields(file: Path) -> dict[str, int]:
    """Return the numbers of a file of /proc by name."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {
        line[0].rstrip(":"): int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()
    }


def spent() -> dict[str, float]:
    """Return the milliseconds of CPU, and the KiB brought to the disk, since the start."""
    cpu_ms = written_kib = 0.0
    for pid in processes():
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        cpu_ms += sum(map(int, ticks)) * 1000 / os.sysconf("SC_CLK_TCK")
        written_kib += fields(Path(f"/proc/{pid}/io"))["write_bytes"] / 1024
    return {"cpu_ms": cpu_ms, "written_kib": written_kib}


def run_ms() -> float:
    """Return the milliseconds that the threads of now have run: finer than ticks of 10 ms."""
    files = (file for pid in processes() for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def idle(seconds: float) -> dict[str, float]:
    """Return what is spent in a minute in which nobody asks for anything."""
    before = {**spent(), "cpu_ms": run_ms()}
    time.sleep(seconds)
    after = {**spent(), "cpu_ms": run_ms()}
    return {name: (after[name] - before[name]) * 60 / seconds for name in after}


def main() -> None:
    """Do what the command line says."""
    what, *arguments = sys.argv[1:]
    looks = {"content": when_content_is_there, "memory": memory, "spent": spent, "idle": idle}
    print(json.dumps(looks[what](*map(float, arguments))))


if __name__ == "__main__":
    main()
