"""A cluster under the load of everyday life, faster: does anything grow that should not?

    make long-run MINUTES=60 SPEED=20        # 60 minutes, in which 20 hours of such a load happen

Three nodes; each publishes its metrics and those of its guests, is polled, changes its guests. Of
each daemon memory, descriptors, threads, the database's log and the lines that it logs are looked
at; the end says how each was in the second and in the last tenth of the run, and fails if one has
grown.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pmxcfs_lab
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

LOAD = Path(__file__).with_name("long_run_load.py")
LOOK = Path(__file__).with_name("long_run_look.py")
NODES = 3
LOOKS = 120
ENDS_WITHIN_S = 60.0

GROWTH_MAX = {"memory, MiB": 0.10, "descriptors": 0.02, "threads": 0.02}
"""By what part of itself each may be larger in the last tenth than in the second."""

LOG_KIB_MAX = 20 * 1024
"""How long the database's log may be at any time: it grows, and begins anew."""

LINES_AN_HOUR_MAX = 60
"""How many lines a daemon may log in an hour of this load, none of which is news."""

Look = dict[str, float]


def main() -> None:
    """Run, print a table, write what was asked for, fail if something has grown."""
    wanted = _arguments()
    lab = open_lab(f"long-{os.getpid()}", lambda text: None)
    try:
        lab.up(make_plan(lab.name, NODES, {}))
        with _loaded(lab, wanted.guests, wanted.speed) as loads:
            series = _watched(lab, wanted.minutes * 60)
            done = [_counts_of(load) for load in loads]
        lab.trees_are_equal()
    finally:
        lab.down()
    findings = list(_print(series, done, wanted.minutes))
    if wanted.out is not None:
        wanted.out.write_text(json.dumps({"series": series, "done": done}) + "\n")
    if wanted.svg is not None:
        from bench.plot import series_as_svg  # its library puts itself among Python's importers

        wanted.svg.write_text(series_as_svg(series))
    print("\n".join(findings) or "nothing has grown")
    sys.exit(1 if findings else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make long-run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=20.0, help="how much faster than life")
    parser.add_argument("--guests", type=int, default=20, help="on each node")
    parser.add_argument("--out", type=Path, help="JSON with all that was seen")
    parser.add_argument("--svg", type=Path, help="a plot of it")
    return parser.parse_args()


@contextmanager
def _loaded(lab: Lab, guests: int, speed: float) -> Iterator[list[subprocess.Popen[str]]]:
    """Load all nodes as long as the block lasts."""
    path = f"PYTHONPATH={Path(pmxcfs_lab.__file__).parent.parent}"
    program = ["env", path, sys.executable, "-c", LOAD.read_text(), str(guests), str(speed)]
    loads = [
        subprocess.Popen(
            lab.attach_argv(name, program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in lab.plan.names
    ]
    try:
        yield loads
    finally:
        for load in loads:
            if load.poll() is None:
                load.communicate(timeout=ENDS_WITHIN_S)


def _counts_of(load: "subprocess.Popen[str]") -> dict[str, int]:
    output, _ = load.communicate(timeout=ENDS_WITHIN_S)
    counts: dict[str, int] = json.loads(output)
    return counts


def _watched(lab: Lab, seconds: float) -> dict[str, list[Look]]:
    """Look at every daemon from time to time; return what was seen, by node."""
    series: dict[str, list[Look]] = {name: [] for name in lab.plan.names}
    began_s = time.monotonic()
    for number in range(LOOKS):
        time.sleep(max(0.0, began_s + seconds * number / LOOKS - time.monotonic()))
        for name, looks in series.items():
            ended = lab.exec(name, sys.executable, "-c", LOOK.read_text())
            looks.append({"minute": (time.monotonic() - began_s) / 60, **json.loads(ended.stdout)})
        if number % (LOOKS // 10) == 0:
            minute = series[lab.plan.names[0]][-1]["minute"]
            print(f"minute {minute:.1f} of {seconds / 60:g}", file=sys.stderr, flush=True)
    return series


def _print(
    series: dict[str, list[Look]], done: list[dict[str, int]], minutes: float
) -> Iterator[str]:
    """Print a table; yield a sentence for each thing that has grown."""
    print("| | node | second tenth | last tenth | largest |\n|---|---|---|---|---|")
    for name, looks in series.items():
        tenth = max(1, len(looks) // 10)
        for what in looks[0]:
            first = statistics.median(look[what] for look in looks[tenth : 2 * tenth])
            last = statistics.median(look[what] for look in looks[-tenth:])
            if what != "minute":
                largest = max(look[what] for look in looks)
                print(f"| {what} | {name} | {first:.1f} | {last:.1f} | {largest:.1f} |")
            if what in GROWTH_MAX and last > first * (1 + GROWTH_MAX[what]):
                yield f"{name}: {what} has grown from {first:.1f} to {last:.1f}"
        if (longest := max(look["log of the database, KiB"] for look in looks)) > LOG_KIB_MAX:
            yield f"{name}: the database's log had {longest:.0f} KiB"
        lines_an_hour = (looks[-1]["lines logged"] - looks[tenth]["lines logged"]) / minutes * 60
        if lines_an_hour > LINES_AN_HOUR_MAX:
            yield f"{name}: it logs {lines_an_hour:.0f} lines an hour"
    print("done: " + ", ".join(f"{sum(d[what] for d in done)} {what}" for what in done[0]))
    if any(counts["failed"] for counts in done):
        yield "calls failed"


if __name__ == "__main__":
    main()
