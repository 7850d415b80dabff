"""IPC calls per second and their latency, ours beside the reference's, in one mixed cluster.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench

The daemons take turns, three times; the best turn of each counts.
"""

import json
import os
import sys
from pathlib import Path

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

TURNS = 3
OURS, THEIRS = "node1", "node2"

ROOT = Path(__file__).parents[1]
PROGRAM = [ROOT / "tests/e2e/ipc_client.py", ROOT / "bench/ipc_load.py"]

Row = tuple[str, float, float, float]


def main() -> None:
    """Bring a lab up, measure, print a table, take the lab down."""
    reference = os.environ.get("PMXCFS_REFERENCE")
    if reference is None:
        sys.exit("bench.ipc: PMXCFS_REFERENCE must name the reference's pmxcfs, to compare with")
    lab = open_lab(f"bench-{os.getpid()}", lambda text: None)
    try:
        lab.up(make_plan(lab.name, 2, {THEIRS: reference}))
        _furnish(lab)
        turns = [(_measure(lab, OURS), _measure(lab, THEIRS)) for _ in range(TURNS)]
    finally:
        lab.down()
    ours, theirs = (
        [_best(rows) for rows in zip(*side, strict=True)] for side in zip(*turns, strict=True)
    )
    _print(ours, theirs)


def _furnish(lab: Lab) -> None:
    _run(lab, "mkdir -p /etc/pve/bench /etc/pve/nodes/node1/qemu-server")
    _run(lab, "head -c 4096 /dev/zero >/etc/pve/bench/small")
    _run(lab, "head -c 524288 /dev/zero >/etc/pve/bench/large")
    config = r"printf 'boot: order=scsi0\ncores: 4\nmemory: 4096\nname: vm%s\nnet0: virtio\n' $i"
    place = "/etc/pve/nodes/node1/qemu-server/$i.conf"
    _run(lab, f"for i in $(seq 100 199); do {config} > {place}; done")
    lab.trees_are_equal()


def _run(lab: Lab, command: str) -> None:
    ended = lab.exec(OURS, "sh", "-c", command)
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())


def _measure(lab: Lab, node: str) -> list[Row]:
    client, load = (path.read_text() for path in PROGRAM)
    program = client.partition("if __name__")[0] + load
    ended = lab.exec(node, sys.executable, "-c", program)
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    return [tuple(row) for row in json.loads(ended.stdout)]


def _best(rows: tuple[Row, ...]) -> Row:
    return max(rows, key=lambda row: row[1])


def _print(ours: list[Row], theirs: list[Row]) -> None:
    print("| request | ours, calls/s | reference | ratio | p50 / p99 ours, us | reference |")
    print("|---|---|---|---|---|---|")
    for our, their in zip(ours, theirs, strict=True):
        latencies = (f"{row[2]:.0f} / {row[3]:.0f}" if row[2] else "" for row in (our, their))
        figures = f"{our[1]:.0f} | {their[1]:.0f} | {our[1] / their[1]:.2f}"
        print(f"| {our[0]} | {figures} | {' | '.join(latencies)} |")


if __name__ == "__main__":
    main()
