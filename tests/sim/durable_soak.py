"""A random run with fsyncs and power cuts: ``python -m tests.sim.durable_soak --seed 7``.

The same seed gives the same run; on a violation the transcript is printed. Without a number of
nodes, worlds of 3, 4 and 5 take turns.
"""

import argparse
import random
import sys
from collections.abc import Iterable

from pmxcfs.identity import NodeId
from tests.sim.durable_node import DurableNode
from tests.sim.durable_world import DurableWorld, perform_durable
from tests.sim.progress import Progress
from tests.sim.quiet import be_quiet
from tests.sim.soak import NODE_COUNTS, SoakError, Tally
from tests.sim.transcript import Transcript
from tests.sim.weather import Weather

STEPS_PER_WORLD = 600

WEIGHTS = {"answers": 40, "disk-works": 30, "fsync": 12, "power-cut": 1.5, "gives-up": 0.5}
OTHERS = 80
"""How often the usual weather decides, on the same scale."""


class DurableWeather:
    """One choice after the other; each is a line of ``durable_world``."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._weather = Weather(rng)
        self._others = OTHERS * rng.choice((0.5, 1, 2))
        self._power = rng.choice((0, 1, 1, 4))

    def next_line(self, world: DurableWorld) -> str:
        """Return something that can happen in this world."""
        while True:
            line = self._choose(world)
            if line is not None:
                return line

    def _choose(self, world: DurableWorld) -> str | None:
        weights = {**WEIGHTS, "power-cut": WEIGHTS["power-cut"] * self._power}
        verb = self._rng.choices([*weights, ""], [*weights.values(), self._others])[0]
        if not verb:
            return self._weather.next_line(world)
        running = [
            world.durable(node_id) for node_id in world.nodes if world.nodes[node_id].process
        ]
        fit = [node for node in running if _is_fit(verb, node)]
        if not fit:
            return None
        node = self._rng.choice(fit)
        if verb == "power-cut":
            return f"power-cut {node.node_id} {self._rng.randint(0, node.unsynced_count)}"
        return f"{verb} {node.node_id}"


def _is_fit(verb: str, node: DurableNode) -> bool:
    match verb:
        case "answers":
            return node.has_unread_durable()
        case "disk-works":
            return node.has_disk_work
        case "gives-up":
            return bool(node.fsyncs)
        case _:
            return True


def run_durable(seed: str, steps: int, node_count: int = 3) -> Tally:
    """Let chance rule in one world, and let it settle with everything mended at the end.

    Raises:
        SoakError: something went wrong.
    """
    lines: list[str] = []
    weather = DurableWeather(random.Random(seed))
    world = DurableWorld(node_count)
    try:
        while len(lines) < steps:
            lines.append(weather.next_line(world))
            perform_durable(world, lines[-1])
        for line in _mending(world):
            lines.append(line)
            perform_durable(world, line)
    except Exception as error:
        raise SoakError(seed, Transcript(node_count, tuple(lines)), error) from error
    return Tally(len(lines), world.fsynced.granted_count, world.fsynced.overruled_count)


def _mending(world: DurableWorld) -> Iterable[str]:
    """Yield what a loss of all power and its repair are, then the end."""
    yield "heal"
    for node_id in world.nodes:
        yield f"power-cut {node_id} 0"
    for node_id in world.nodes:
        yield f"restart {NodeId(node_id)}"
    yield "settle"


def main(arguments: Iterable[str]) -> int:
    """Run worlds until there were enough steps; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.sim.durable_soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--nodes", type=int, help="3, 4 and 5 in turn, if it is not given")
    options = parser.parse_args(list(arguments))
    be_quiet()
    total, number, progress = Tally(), 0, Progress(options.steps)
    node_counts = (options.nodes,) if options.nodes else NODE_COUNTS
    while total.steps < options.steps:
        node_count = node_counts[number % len(node_counts)]
        try:
            total.add(run_durable(f"{options.seed}/{number}", STEPS_PER_WORLD, node_count))
        except SoakError as error:
            print(error)
            return 1
        number += 1
        progress.note(total.steps)
    print(
        f"seed {options.seed}: {total.steps} steps in {number} worlds of "
        f"{' or '.join(map(str, node_counts))} nodes, {total.granted} fsyncs acknowledged, "
        f"{total.overruled} overruled by a longer history: no violation, "
        f"{progress.speed(total.steps)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
