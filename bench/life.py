"""What a daemon costs besides its operations, ours beside the reference's, in turns:

- how long it takes from the command to a usable mount, and to join with an empty database;
- how much memory it keeps, as the one that leads, after joining, and at its peak;
- what it writes and computes while nobody asks for anything.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench-life

Each turn has a new lab of three nodes whose first starts from a database made here. Medians count.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Service
from pmxcfs_lab.providers import open_lab

from bench.content import Content, make_database

PROBE = Path(__file__).with_name("life_probe.py")
SETTLED_WITHIN_S = 180.0
PROBE_S_MAX = 120.0
LEADER, BYSTANDER, JOINER = "node1", "node2", "node3"
CONTENTS = (Content("5 000 files", 5000, 4096), Content("128 MiB", 127, 2**20))

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row shall be at most, as a ratio to the reference."""

    content: str
    row: str
    ratio: float


GOALS = (
    Goal("5 000 files", "start to usable mount, s", 0.5),
    Goal("128 MiB", "start to usable mount, s", 0.5),
    Goal("5 000 files", "an empty node joins, s", 0.6),
    Goal("128 MiB", "an empty node joins, s", 0.5),
    Goal("5 000 files", "memory alone, MiB", 2.0),
    Goal("128 MiB", "memory alone, MiB", 1.2),
    Goal("5 000 files", "memory after joining, MiB", 2.0),
    Goal("128 MiB", "memory after joining, MiB", 1.0),
    Goal("5 000 files", "idle: CPU, ms a minute", 1.0),
    Goal("5 000 files", "idle: disk writes, KiB a minute", 1.0),
)


def main() -> None:
    """Measure, print tables, write what was asked for."""
    wanted = _arguments()
    reference = os.environ.get("PMXCFS_REFERENCE")
    figures = {}
    for content in CONTENTS:
        if wanted.content is None or content.name in wanted.content:
            figures[content.name] = _take_turns(content, reference, wanted)
            _print(content.name, figures[content.name])
    if wanted.out is not None:
        wanted.out.write_text(json.dumps(figures, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-life", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--idle-s", type=float, default=20.0, help="default: %(default)s")
    parser.add_argument("--content", action="append", help="which tree; may be repeated")
    parser.add_argument("--out", type=Path, help="JSON with all figures")
    return parser.parse_args()


def _take_turns(
    content: Content, reference: str | None, wanted: argparse.Namespace
) -> dict[str, Row]:
    sides: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        database = make_database(content, Path(folder))
        for turn in range(wanted.turns):
            print(f"{content.name}, turn {turn + 1} of {wanted.turns}", file=sys.stderr, flush=True)
            for who, binary in (("ours", None), ("reference", reference)):
                if who == "ours" or binary is not None:
                    sides.setdefault(who, []).append(_measure(database, binary, wanted.idle_s))
    return {
        who: {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for who, rows in sides.items()
    }


def _measure(database: Path, binary: str | None, idle_s: float) -> Row:
    with _lab(database, binary, nodes=1) as lab:
        row = {"start to usable mount, s": _start(lab, LEADER)}
        row["memory alone, MiB"] = _probe(lab, LEADER, "memory")["resident_mib"]
        row["start: CPU, s"] = _cpu_s(lab, LEADER)
    with _lab(database, binary, nodes=3) as lab:
        _empty(lab, JOINER)
        before_s = {node: _cpu_s(lab, node) for node in (LEADER, BYSTANDER)}
        row["an empty node joins, s"] = _start(lab, JOINER)
        row["an empty node joins: its CPU, s"] = _cpu_s(lab, JOINER)
        lab.wait(within_s=SETTLED_WITHIN_S)
        for node, role in ((LEADER, "of the leader"), (BYSTANDER, "of the third")):
            row[f"an empty node joins: CPU {role}, s"] = _cpu_s(lab, node) - before_s[node]
        for node, role in ((LEADER, "of the leader"), (JOINER, "after joining")):
            memory = _probe(lab, node, "memory")
            row[f"memory {role}, MiB"] = memory["resident_mib"]
            row[f"memory {role}, at the peak, MiB"] = memory["peak_mib"]
        idle = _probe(lab, LEADER, "idle", str(idle_s))
        row["idle: CPU, ms a minute"] = idle["cpu_ms"]
        row["idle: disk writes, KiB a minute"] = idle["written_kib"]
    return row


@contextmanager
def _lab(database: Path, binary: str | None, nodes: int) -> Iterator[Lab]:
    """Bring up a lab whose first node starts from a database; one node stands alone."""
    lab = open_lab(f"bench-{os.getpid()}", lambda text: None)
    names = [f"node{number}" for number in range(1, nodes + 1)]
    binaries = {} if binary is None else dict.fromkeys(names, binary)
    plan = make_plan(lab.name, nodes, binaries, local=nodes == 1)
    try:
        lab.up(plan, {LEADER: database}, within_s=SETTLED_WITHIN_S)
        yield lab
    finally:
        lab.down()


def _empty(lab: Lab, node: str) -> None:
    """Take a node's daemon and all that it knows away."""
    lab.stop(node, [Service.PMXCFS])
    lab.exec(node, "sh", "-c", "rm -f /var/lib/pve-cluster/config.db*")


def _start(lab: Lab, node: str) -> float:
    """Start a node's daemon; return the seconds until the whole content is in its mount."""
    lab.stop(node, [Service.PMXCFS])
    began_s = time.monotonic()
    lab.start(node, [Service.PMXCFS])
    return _probe(lab, node, "content")["monotonic_s"] - began_s


def _cpu_s(lab: Lab, node: str) -> float:
    return _probe(lab, node, "spent")["cpu_ms"] / 1000


def _probe(lab: Lab, node: str, *arguments: str) -> Row:
    ended = lab.exec(
        node, sys.executable, "-c", PROBE.read_text(), *arguments, timeout_s=PROBE_S_MAX
    )
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    row: Row = json.loads(ended.stdout)
    return row


def _print(content: str, sides: dict[str, Row]) -> None:
    print(f"\n| {content} | ours | reference | ratio | goal, at most |\n|---|---|---|---|---|")
    goals = {goal.row: goal.ratio for goal in GOALS if goal.content == content}
    for name, ours in sides["ours"].items():
        theirs = sides.get("reference", {}).get(name)
        beside = "" if theirs is None else f"{theirs:.2f}"
        ratio = f"{ours / theirs:.2f}" if theirs else ""
        print(f"| {name} | {ours:.2f} | {beside} | {ratio} | {goals.get(name, '')} |", flush=True)


if __name__ == "__main__":
    main()
