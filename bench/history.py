"""What the history of changes costs a write: with and without it, in turns, on a node alone.

    make bench-history

Processor time, of the event loop, which a writer waits for, and of the whole daemon, whose thread
writes the history behind it. What the loop does for the history alone is measured by itself too:
it is less than what two turns on a busy machine differ by.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

from bench.fs import program_with
from pmxcfs.chronicle.recorder import history_recorded
from pmxcfs.dcdb import Commit
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Rename, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.tap import Tap

PROBE = Path(__file__).with_name("history_probe.py")
RUN_S_MAX = 600.0
NOW_S = 1_800_000_000
BUDGET_BYTES = 256 * 2**20

Figures = dict[str, float]


def main() -> None:
    """Measure in turns, print a table."""
    parser = argparse.ArgumentParser(prog="make bench-history", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--writes", type=int, default=2000, help="in each turn")
    wanted = parser.parse_args()
    handing_on = statistics.median(_handing_on_us(wanted.writes) for _ in range(wanted.turns))
    print(f"handing on to the history's thread: {handing_on:.1f} us for each file")
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


def _handing_on_us(writes: int) -> float:
    """Return what the loop spends on the history of a file: made, written, renamed."""
    memdb = Memdb(Tree.new(), NOW_S)
    tap = Tap(lambda: memdb.tree, lambda: NOW_S)
    spent_ns = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        history_recorded(Path(folder, "history.db"), BUDGET_BYTES) as history,
    ):
        assert history is not None
        tap.attach(history.put)
        for number in range(writes):
            draft, file = b"draft-%d" % (number % 100), b"file-%d" % (number % 100)
            for operation in (
                Create(draft),
                Write(draft, 0, b"%1024d" % number),
                Rename(draft, file),
            ):
                commit = Commit(memdb.apply(operation, 1, NOW_S, NOW_S).changes)
                began_ns = time.thread_time_ns()
                tap.take([commit])
                spent_ns += time.thread_time_ns() - began_ns
    return spent_ns / writes / 1000


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
