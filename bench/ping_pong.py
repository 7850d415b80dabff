"""Changes of one message by a lone writer, beside what corosync alone carries on the same machine.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench-ping-pong

Three nodes. In one lab after the other, ours and the reference's: a process on each node joins a
group of its own, and one of them sends a message whenever its last has come back; then a lone
caller refreshes a lock, which is a message that changes one number. Medians of the turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

NODES = ("node1", "node2", "node3")
GOAL = 0.7
MEMBER = Path(__file__).with_name("ping_pong_member.py")
REFRESH = """
import json, os, sys, time
os.makedirs("/etc/pve/priv/lock/bench", exist_ok=True)
end_s, taken_us = time.monotonic() + float(sys.argv[1]), []
while time.monotonic() < end_s:
    began_ns = time.perf_counter_ns()
    os.utime("/etc/pve/priv/lock/bench")
    taken_us.append((time.perf_counter_ns() - began_ns) / 1000)
print(json.dumps(taken_us))
"""


def main() -> None:
    """Take turns, and print what of corosync's rate each daemon reaches."""
    parser = argparse.ArgumentParser(prog="make bench-ping-pong", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each; default: %(default)s")
    wanted = parser.parse_args()
    reference = os.environ.get("PMXCFS_REFERENCE")
    sides = {"ours": None} if reference is None else {"ours": None, "reference": reference}
    turns = [
        {who: _measure(binary, wanted.seconds) for who, binary in sides.items()}
        for _ in range(wanted.turns)
    ]
    print("| | corosync alone, a second | p50, us | changes a second | p50, us | share | goal |")
    print("|---|---|---|---|---|---|---|")
    for who in sides:
        ping_pongs, changes = zip(*(turn[who] for turn in turns), strict=True)
        share = statistics.median(
            _rate(change) / _rate(ping) for ping, change in zip(ping_pongs, changes, strict=True)
        )
        cells = " | ".join(
            f"{statistics.median(map(_rate, rows)):.0f} | "
            f"{statistics.median(map(statistics.median, rows)):.0f}"
            for rows in (ping_pongs, changes)
        )
        print(f"| {who} | {cells} | {share:.2f} | {GOAL} |")


def _rate(taken_us: list[float]) -> float:
    return 1e6 / statistics.mean(taken_us)


def _measure(binary: str | None, seconds: float) -> tuple[list[float], list[float]]:
    """Return how long each ping-pong and each change took, in microseconds."""
    lab = open_lab(f"bench-{os.getpid()}", lambda text: None)
    try:
        lab.up(
            make_plan(lab.name, len(NODES), {} if binary is None else dict.fromkeys(NODES, binary))
        )
        return _ping_pong(lab, seconds), _refresh(lab, seconds)
    finally:
        lab.down()


def _ping_pong(lab: Lab, seconds: float) -> list[float]:
    with ExitStack() as stack:
        pinger, *others = (
            stack.enter_context(_member(lab, node, seconds if node == NODES[0] else 0.0))
            for node in NODES
        )
        assert pinger.stdout is not None
        taken_us: list[float] = json.loads(pinger.stdout.readline())
        for process in others:
            assert process.stdin is not None
            process.stdin.close()
    return taken_us


def _member(lab: Lab, node: str, seconds: float) -> subprocess.Popen[str]:
    command = lab.attach_argv(node, [sys.executable, str(MEMBER), str(len(NODES)), str(seconds)])
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _refresh(lab: Lab, seconds: float) -> list[float]:
    ended = lab.exec(NODES[0], sys.executable, "-c", REFRESH, str(seconds))
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    taken_us: list[float] = json.loads(ended.stdout)
    return taken_us


if __name__ == "__main__":
    main()
