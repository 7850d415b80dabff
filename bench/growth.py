"""What an operation costs in a small and in a large tree, and in a small and in a large cluster.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench-growth

Each tree and each cluster has a lab of its own; ours and the reference take turns.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

from bench.content import Content, make_database

LOAD = Path(__file__).with_name("fs_load.py")
RUN_S_MAX = 600.0
SETTLED_WITHIN_S = 180.0
SIZE_BYTES = 200

WORKLOADS = (
    "stat",
    "create + write 1 KiB + close",
    "unlink",
    "tmp file + rename 1 KiB",
    "lock: mkdir + rmdir",
    "read .version",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A tree with so many files on so many nodes; one node stands alone."""

    files: int
    nodes: int

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"{self.files} files, {self.nodes} node{'s' * (self.nodes > 1)}"


FILES = tuple(Place(files, 1) for files in (100, 5_000, 100_000))
NODES = tuple(Place(100, nodes) for nodes in (3, 5, 9))

Latencies = dict[str, float]
"""The median of each workload in microseconds."""


def main() -> None:
    """Measure, print a table, write what was asked for."""
    wanted = _arguments()
    places = [place for place in (*FILES, *NODES) if place.nodes <= wanted.nodes_max]
    sides: dict[str, str | None] = {"ours": None}
    if reference := os.environ.get("PMXCFS_REFERENCE"):
        sides["reference"] = reference
    figures: dict[str, dict[str, Latencies]] = {who: {} for who in sides}
    for place in places:
        for who, binary in sides.items():
            print(f"{place.name}, {who}", file=sys.stderr, flush=True)
            figures[who][place.name] = _measure(place, binary, wanted.scale)
    _print(figures)
    if wanted.out is not None:
        wanted.out.write_text(json.dumps(figures, indent=1) + "\n")
    if wanted.svg is not None:
        from bench.plot import growth_as_svg  # its library puts itself among Python's importers

        wanted.svg.write_text(growth_as_svg(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.3, help="how long; default: %(default)s")
    parser.add_argument("--nodes-max", type=int, default=9, help="leave larger clusters out")
    parser.add_argument("--out", type=Path, help="JSON with all figures")
    parser.add_argument("--svg", type=Path, help="a plot of the latencies")
    return parser.parse_args()


def _measure(place: Place, binary: str | None, scale: float) -> Latencies:
    lab = open_lab(f"bench-{os.getpid()}", lambda text: None)
    names = [f"node{number}" for number in range(1, place.nodes + 1)]
    binaries = {} if binary is None else dict.fromkeys(names, binary)
    plan = make_plan(lab.name, place.nodes, binaries, local=place.nodes == 1)
    with tempfile.TemporaryDirectory() as folder:
        database = make_database(Content(place.name, place.files, SIZE_BYTES), Path(folder))
        try:
            lab.up(plan, {"node1": database}, within_s=SETTLED_WITHIN_S)
            program = [sys.executable, "-c", LOAD.read_text(), str(scale), *WORKLOADS]
            ended = lab.exec("node1", *program, timeout_s=RUN_S_MAX)
        finally:
            lab.down()
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    return {name: row["p50_us"] for name, row in json.loads(ended.stdout).items()}


def _print(figures: dict[str, dict[str, Latencies]]) -> None:
    places = list(figures["ours"])
    print("\nMedian latency in microseconds, ours / reference\n")
    print(f"| | {' | '.join(places)} |\n|{'---|' * (len(places) + 1)}")
    for workload in WORKLOADS:
        cells = (
            " / ".join(f"{figures[who][place][workload]:.0f}" for who in figures)
            for place in places
        )
        print(f"| {workload} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
