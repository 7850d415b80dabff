"""Writes files and says what each cost the daemon; run on the node, with the standard library only.

history_probe.py COUNT
"""

import json
import sys
import time
from pathlib import Path

MOUNT = Path("/etc/pve")
PID_FILE = Path("/run/pve-cluster.pid")
WARM_UP = 300
WRITTEN_S = 3.0
"""The history is behind by no more than this."""


def spent_us(tasks: list[Path]) -> float:
    """Return the processor time of some threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


def main() -> None:
    """Print one JSON object."""
    count = int(sys.argv[1])
    daemon = Path("/proc") / PID_FILE.read_text().strip()
    loop = [daemon / "task" / daemon.name]
    write_files(WARM_UP)
    time.sleep(WRITTEN_S)
    before = look(daemon, loop)
    write_files(count)
    time.sleep(WRITTEN_S)
    after = look(daemon, loop)
    print(json.dumps({what: (after[what] - before[what]) / count for what in after}))


def write_files(count: int) -> None:
    """Replace one file after the other, as the management tools do."""
    for number in range(count):
        draft = MOUNT / f"draft-{number % 100}"
        draft.write_text(f"{number:1024}")
        draft.rename(MOUNT / f"file-{number % 100}")


def look(daemon: Path, loop: list[Path]) -> dict[str, float]:
    """Return what has been spent so far."""
    io = dict(line.split(": ") for line in (daemon / "io").read_text().splitlines())
    return {
        "processor time of the event loop, us": spent_us(loop),
        "processor time of the daemon, us": spent_us(list((daemon / "task").iterdir())),
        "to the disk, KiB": int(io["write_bytes"]) / 1024,
    }


if __name__ == "__main__":
    main()
