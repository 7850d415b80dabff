"""A long random run: ``python -m tests.sim.soak --seed 7 --steps 100000``.

The same seed gives the same run. Without a number of nodes, worlds of 3, 4 and 5 take turns; in
every other one corosync is too busy now and then. On a violation it prints the seed and the
transcript since the last moment at which all nodes were equal, shortened if it still fails, and
exits with 1.
"""

import argparse
import random
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tests.sim.checker import Checker
from tests.sim.progress import Progress
from tests.sim.quiet import be_quiet
from tests.sim.transcript import Transcript, shortened
from tests.sim.vocabulary import perform
from tests.sim.weather import Weather
from tests.sim.world import World

STEPS_PER_WORLD = 1000
"""After so many steps a new world begins, so that a failing transcript has a bearable length."""

NODE_COUNTS = (3, 4, 5)


class SoakError(AssertionError):
    """A run failed; the message ends with the transcript that replays it."""

    def __init__(self, seed: str, transcript: Transcript, error: BaseException) -> None:
        super().__init__(f"{error}\nseed {seed}, {len(transcript.lines)} steps:\n{transcript}")
        self.transcript = transcript


@dataclass(slots=True)
class Tally:
    """What a run was made of."""

    steps: int = 0
    granted: int = 0
    overruled: int = 0

    def add(self, other: "Tally") -> None:
        """Add what another run was made of."""
        self.steps += other.steps
        self.granted += other.granted
        self.overruled += other.overruled


def run(
    seed: str,
    steps: int,
    node_count: int,
    only: Collection[type[Checker]] | None = None,
    *,
    is_busy: bool = False,
) -> Tally:
    """Let chance rule in one world, and let it settle with everything mended at the end.

    Args:
        seed: decides everything that happens.
        steps: how many things happen.
        node_count: how many nodes there are.
        only: the claims to check, if not all.
        is_busy: whether corosync takes no messages now and then.

    Raises:
        SoakError: something went wrong.
    """
    lines: list[str] = []
    weather = Weather(random.Random(seed), is_busy=is_busy)
    try:
        world = World(node_count, only)
        while len(lines) < steps:
            lines.append(weather.next_line(world))
            perform(world, lines[-1])
        for line in _mending(world):
            lines.append(line)
            perform(world, line)
    except Exception as error:
        raise SoakError(seed, Transcript(node_count, tuple(lines)), error) from error
    return Tally(len(lines), world.checkers.success_count, world.checkers.survival.overruled_count)


def _mending(world: World) -> Iterable[str]:
    yield "heal"
    for node_id, node in world.nodes.items():
        if node.is_failed:
            yield f"kill {node_id}"
        yield f"restart {node_id}"
    yield "settle"


def main(arguments: Iterable[str]) -> int:
    """Run worlds until there were enough steps; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.sim.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, help="3, 4 and 5 in turn, if it is not given")
    options = parser.parse_args(list(arguments))
    be_quiet()
    total, world_number, progress = Tally(), 0, Progress(options.steps)
    node_counts = (options.nodes,) if options.nodes else NODE_COUNTS
    while total.steps < options.steps:
        steps = min(STEPS_PER_WORLD, options.steps - total.steps)
        node_count = node_counts[world_number % len(node_counts)]
        try:
            seed, is_busy = f"{options.seed}/{world_number}", world_number % 2 == 1
            total.add(run(seed, steps, node_count, is_busy=is_busy))
        except SoakError as error:
            print(error)
            print(f"shortened:\n{shortened(error.transcript)}")
            return 1
        world_number += 1
        progress.note(total.steps)
    print(
        f"seed {options.seed}: {total.steps} steps in {world_number} worlds of "
        f"{' or '.join(map(str, node_counts))} nodes, {total.granted} requests granted, "
        f"{total.overruled} promises overruled by a longer history: no violation, "
        f"{progress.speed(total.steps)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
