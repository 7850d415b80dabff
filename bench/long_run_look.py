"""Says how large the daemon of a node is; run on the node, with the standard library only."""

import json
from pathlib import Path

PID_FILE = Path("/run/pve-cluster.pid")
STATE = Path("/var/lib/pve-cluster")
LOG = Path("/var/log/pmxcfs.log")


def processes() -> list[Path]:
    """Return the folders in /proc of the daemon and of its children."""
    daemon = Path("/proc") / PID_FILE.read_text().strip()
    children = [file.read_text().split() for file in daemon.glob("task/*/children")]
    return [daemon, *(Path("/proc") / pid for pids in children for pid in pids)]


def resident_kib(process: Path) -> int:
    """Return how much memory a process has."""
    lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0])


def main() -> None:
    """Print one JSON object."""
    found = processes()
    log = STATE / "config.db-wal"
    look = {
        "memory, MiB": sum(map(resident_kib, found)) / 1024,
        "descriptors": sum(len(list((process / "fd").iterdir())) for process in found),
        "threads": sum(len(list((process / "task").iterdir())) for process in found),
        "log of the database, KiB": log.stat().st_size / 1024 if log.exists() else 0,
        "database, KiB": (STATE / "config.db").stat().st_size / 1024,
        "lines logged": LOG.read_bytes().count(b"\n"),
    }
    print(json.dumps(look))


if __name__ == "__main__":
    main()
