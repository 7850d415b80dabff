"""Operations per second of the mount, ours beside the reference's, standalone and on three nodes.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench

The daemons take turns, each in a new lab; medians count. Without a reference ours is
measured alone, and no ratio is given.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

from bench.goals import GOALS

LOAD = Path(__file__).with_name("fs_load.py")
RUN_S_MAX = 600.0

Rows = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where it is measured: one node alone, or the first of some."""

    name: str
    nodes: int
    is_local: bool


SETTINGS = (Setting("standalone", 1, True), Setting("three nodes", 3, False))


def main() -> None:
    """Measure, print tables, write what was asked for."""
    wanted = _arguments()
    reference = os.environ.get("PMXCFS_REFERENCE")
    figures = {}
    for setting in SETTINGS:
        if wanted.setting is None or setting.name in wanted.setting:
            figures[setting.name] = _take_turns(setting, reference, wanted)
            _print(setting, figures[setting.name])
    if wanted.out is not None:
        wanted.out.write_text(json.dumps(figures, indent=1))
    if wanted.svg is not None:
        from bench.plot import ratios_as_svg  # its library puts itself among Python's importers

        wanted.svg.write_text(ratios_as_svg(figures))


def _take_turns(
    setting: Setting, reference: str | None, wanted: argparse.Namespace
) -> dict[str, Rows]:
    turns: dict[str, list[Rows]] = {"ours": [], "reference": []}
    ours = program_with(wanted.option)
    for turn in range(wanted.turns):
        _say(f"{setting.name}, turn {turn + 1} of {wanted.turns}")
        turns["ours"].append(_measure(setting, ours, wanted))
        if reference is not None:
            turns["reference"].append(_measure(setting, reference, wanted))
    return {who: _medians(rows) for who, rows in turns.items() if rows}


def program_with(options: Sequence[str]) -> str | None:
    """Return our program with these options, for a lab; None without any."""
    if not options:
        return None
    program = Path(tempfile.mkdtemp(prefix="pmxcfs-bench-")) / "pmxcfs"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pmxcfs {shlex.join(options)} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.3, help="how long; default: %(default)s")
    parser.add_argument("--only", action="append", default=[], help="a workload; may be repeated")
    parser.add_argument("--setting", action="append", help="where; may be repeated; default: all")
    parser.add_argument(
        "--option", action="append", default=[], help="one of our daemon's; may be repeated"
    )
    parser.add_argument("--out", type=Path, help="JSON with all figures")
    parser.add_argument("--svg", type=Path, help="a plot of the ratios")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measure(setting: Setting, binary: str | None, wanted: argparse.Namespace) -> Rows:
    lab = open_lab(f"bench-{os.getpid()}", lambda text: None)
    names = [f"node{number}" for number in range(1, setting.nodes + 1)]
    binaries = {} if binary is None else dict.fromkeys(names, binary)
    try:
        lab.up(make_plan(lab.name, setting.nodes, binaries, local=setting.is_local))
        arguments = (str(wanted.scale), *wanted.only)
        ended = lab.exec(
            "node1", sys.executable, "-c", LOAD.read_text(), *arguments, timeout_s=RUN_S_MAX
        )
    finally:
        lab.down()
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    rows: Rows = json.loads(ended.stdout)
    return rows


def _medians(turns: list[Rows]) -> Rows:
    return {
        name: {key: statistics.median(rows[name][key] for rows in turns) for key in turns[0][name]}
        for name in turns[0]
    }


def _print(setting: Setting, sides: dict[str, Rows]) -> None:
    print(
        f"\n| {setting.name} | ours, ops/s | p50, p99 us | reference | p50, p99 us | ratio | goal |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, our in sides["ours"].items():
        their = sides.get("reference", {}).get(name)
        goal = GOALS[setting.name].get(name)
        ratio = "" if their is None else f"{our['ops_s'] / their['ops_s']:.2f}"
        goal_text = "" if goal is None else f"{goal:g}"
        print(f"| {name} | {_cells(our)} | {_cells(their)} | {ratio} | {goal_text} |")
    for name, our in sides["ours"].items():
        if "disk_bytes_per_byte" in our:
            their = sides.get("reference", {}).get(name)
            beside = "" if their is None else f", reference {their['disk_bytes_per_byte']:.1f}"
            print(f"bytes to disk per byte, {name}: {our['disk_bytes_per_byte']:.1f}{beside}")
    sys.stdout.flush()


def _cells(row: dict[str, float] | None) -> str:
    if row is None:
        return " | "
    return f"{row['ops_s']:.0f} | {row['p50_us']:.0f}, {row['p99_us']:.0f}"


if __name__ == "__main__":
    main()
