"""What the history of changes costs a write: with and without it, in turns, on a node alone.

    make bench-history

Processor time, which other work on the machine does not change much: of the event loop, which a
writer waits for, and of the whole daemon, whose thread writes the history behind it.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

from bench.fs import program_with

PROBE = Path(__file__).with_name("history_probe.py")
RUN_S_MAX = 600.0

Figures = dict[str, float]


def main() -> None:
    """Measure in turns, print a table."""
    parser = argparse.ArgumentParser(prog="make bench-history", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--writes", type=int, default=2000, help="in each turn")
    wanted = parser.parse_args()
    turns: dict[str, list[Figures]] = {"without": [], "with": []}
    for turn in range(wanted.turns):
        print(f"turn {turn + 1} of {wanted.turns}", file=sys.stderr, flush=True)
        turns["without"].append(_measure(None, wanted.writes))
        turns["with"].append(_measure(program_with(["--history=256"]), wanted.writes))
    print("| for each file written and renamed | without | with | ratio |\n|---|---|---|---|")
    for what in turns["with"][0]:
        without, with_it = (
            statistics.median(figures[what] for figures in turns[side])
            for side in ("without", "with")
        )
        print(f"| {what} | {without:.1f} | {with_it:.1f} | {with_it / without:.3f} |")


def _measure(binary: str | None, writes: int) -> Figures:
    lab = open_lab(f"history-{os.getpid()}", lambda text: None)
    binaries = {} if binary is None else {"node1": binary}
    try:
        lab.up(make_plan(lab.name, 1, binaries, local=True))
        ended = lab.exec(
            "node1", sys.executable, "-c", PROBE.read_text(), str(writes), timeout_s=RUN_S_MAX
        )
    finally:
        lab.down()
    if ended.exit_status:
        raise RuntimeError(ended.stderr.decode())
    figures: Figures = json.loads(ended.stdout)
    return figures


if __name__ == "__main__":
    main()
