"""A random run of the status group: ``python -m tests.sim.status_soak --seed 7 --steps 100000``.

The same seed gives the same run. On a violation the transcript is printed, shortened, and the exit
code is 1. A line for each thing that happens:

    publish 1 k0 v7     a client sets a value on node 1; ``-`` removes it
    log 1 text          a client logs something on node 1
    read 2 3            node 2 reads up to three events of the group
    partition 1,2|3 2   the network; of what nobody had read so much is recovered. Also heal 2
    kill 1, restart 1   the daemon, whose status is gone with it
    crash 1, boot 1     corosync on its machine
    rejoin 1            the daemon leaves the group, and comes back at the next settle
    tick 5              time
    settle              everything is mended and read, and the claims are checked
"""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence

from pmxcfs.identity import NodeId
from tests.sim.progress import Progress
from tests.sim.quiet import be_quiet
from tests.sim.status_claims import check_settled
from tests.sim.status_world import StatusWorld

STEPS_PER_WORLD = 300
NODE_COUNTS = (3, 4, 5)

WEIGHTS = {
    "read": 50,
    "publish": 14,
    "log": 14,
    "settle": 3,
    "partition": 3,
    "heal": 3,
    "restart": 3,
    "kill": 1.5,
    "crash": 1,
    "boot": 2,
    "rejoin": 1,
    "tick": 4,
}


_WORDS_BEHIND_NODE = {
    **dict.fromkeys(("kill", "restart", "crash", "boot", "rejoin"), 0),
    "publish": 2,
    "log": 1,
    "read": 1,
}


class StatusSoakError(AssertionError):
    """A run failed, after so many steps; the message has the lines that replay it."""

    def __init__(self, sentence: str, steps: int) -> None:
        super().__init__(sentence)
        self.steps = steps


def perform(world: StatusWorld, line: str) -> None:
    """Let happen what a line says; what cannot happen at this moment does not."""
    verb, *words = line.split()
    match verb, words:
        case "settle", []:
            world.settle()
            check_settled(world)
        case "tick", [seconds]:
            world.tick(int(seconds))
        case "heal", [keep]:
            world.heal(int(keep))
        case "partition", [sides, keep]:
            rings = [[NodeId(int(node)) for node in side.split(",")] for side in sides.split("|")]
            world.partition(rings, int(keep))
        case _, [node, *rest]:
            _perform_on(world, verb, NodeId(int(node)), rest)
        case _:
            raise ValueError(f"no such thing can happen: {line}")


def _perform_on(world: StatusWorld, verb: str, node_id: NodeId, words: Sequence[str]) -> None:
    if len(words) != _WORDS_BEHIND_NODE.get(verb):
        raise ValueError(f"no such thing can happen: {verb} {node_id} {words}")
    is_running, is_up = node_id in world.processes, node_id in world.cpg.nodes
    match verb, words:
        case "publish", [key, value] if is_running:
            world.publish(node_id, key.encode(), b"" if value == "-" else value.encode())
        case "log", [text] if is_running:
            world.log(node_id, text.encode())
        case "read", [at_most]:
            world.read(node_id, int(at_most))
        case "kill", [] if is_running:
            world.kill(node_id)
        case "restart", [] if not is_running:
            world.restart(node_id)
        case "crash", [] if is_up:
            world.crash(node_id)
        case "boot", [] if not is_up:
            world.boot(node_id)
        case "rejoin", [] if is_running:
            world.rejoin(node_id)


def next_line(rng: random.Random, world: StatusWorld, number: int) -> str:
    """Return something that can happen."""
    verb = rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
    node_id, keep = rng.choice(world.node_ids), rng.randrange(5)
    match verb:
        case "read":
            return f"read {node_id} {rng.choice((1, 1, 2, 5, 20))}"
        case "publish":
            value = "-" if rng.random() < 0.2 else f"v{number}"
            return f"publish {node_id} kv/k{rng.randrange(4)} {value}"
        case "log":
            return f"log {node_id} text{number}"
        case "partition":
            sides: dict[int, list[str]] = {}
            for other in world.node_ids:
                sides.setdefault(rng.randrange(3), []).append(str(other))
            return f"partition {'|'.join(map(','.join, sides.values()))} {keep}"
        case "heal":
            return f"heal {keep}"
        case "tick":
            return f"tick {rng.choice((1, 1, 5, 130))}"
        case "settle":
            return "settle"
    return f"{verb} {node_id}"


def run(seed: str, steps: int, node_count: int = 3) -> StatusWorld:
    """Let chance rule in one world, and let it settle at the end.

    Raises:
        StatusSoakError: a claim turned out to be false.
    """
    rng, world = random.Random(seed), StatusWorld(node_count)
    lines: list[str] = []
    try:
        while len(lines) < steps:
            lines.append(next_line(rng, world, len(lines)))
            perform(world, lines[-1])
        lines.append("settle")
        perform(world, "settle")
    except Exception as error:
        text = "\n".join(shortened(lines, node_count))
        sentence = f"{error}\nseed {seed}, nodes {node_count}:\n{text}"
        raise StatusSoakError(sentence, len(lines)) from error
    return world


def shortened(lines: Sequence[str], node_count: int) -> list[str]:
    """Leave out what a failing run fails without."""
    left, chunk = list(lines), max(1, len(lines) // 2)
    while chunk:
        place = 0
        while place < len(left):
            candidate = left[:place] + left[place + chunk :]
            if _fails(candidate, node_count):
                left = candidate
            else:
                place += chunk
        chunk //= 2
    return left


def _fails(lines: Iterable[str], node_count: int) -> bool:
    world = StatusWorld(node_count)
    try:
        for line in lines:
            perform(world, line)
    except Exception:
        return True
    return False


def main(arguments: Iterable[str]) -> int:
    """Run worlds until there were enough steps; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.sim.status_soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--nodes", type=int, help="3, 4 and 5 in turn, if it is not given")
    options = parser.parse_args(list(arguments))
    be_quiet()
    steps, number, logged, progress = 0, 0, 0, Progress(options.steps)
    while steps < options.steps:
        node_count = options.nodes or NODE_COUNTS[number % len(NODE_COUNTS)]
        try:
            logged += run(f"{options.seed}/{number}", STEPS_PER_WORLD, node_count).logged
        except StatusSoakError as error:
            print(error)
            return 1
        number, steps = number + 1, steps + STEPS_PER_WORLD
        progress.note(steps)
    print(
        f"seed {options.seed}: {steps} steps of the status group in {number} worlds, "
        f"{logged} entries logged: no violation, {progress.speed(steps)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
