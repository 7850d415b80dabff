"""Programs of steps that hypothesis makes up, and shortens when one fails.

``python -m tests.sim.programs --seed 7 --examples 200`` searches, the same for the same seed. What
it finds it prints as a transcript, and exits with 1.
"""

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Iterable
from typing import get_args

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pmxcfs.identity import NodeId
from tests.sim.node import CrashPoint
from tests.sim.progress import Progress
from tests.sim.quiet import be_quiet
from tests.sim.transcript import Transcript
from tests.sim.vocabulary import perform
from tests.sim.weather import DIRECTORIES, LOCKS, PATHS, lines_to_make
from tests.sim.world import World

NODES_MAX = 5
STEPS = 50

NODES = st.integers(1, NODES_MAX)
KEEPS = st.sampled_from(["", " keep 0", " keep 1", " keep 3"])
SIDES = st.lists(st.integers(0, 2), min_size=NODES_MAX, max_size=NODES_MAX)


class Program(RuleBasedStateMachine):
    """A world in which hypothesis decides what happens next; the claims are checked throughout.

    Each step is a line of ``tests.sim.vocabulary``. Nodes beyond the world's are taken modulo.
    """

    last: Transcript | None = None
    on_end: Callable[[], None] = staticmethod(lambda: None)

    @initialize(node_count=st.integers(3, NODES_MAX), has_locks=st.booleans())
    def begin(self, node_count: int, has_locks: bool) -> None:
        self.world = World(node_count)
        self.lines: list[str] = []
        self.texts = 0
        self.has_failed = False
        for line in lines_to_make(LOCKS) if has_locks else ():
            self.happen(line)

    @rule(node=NODES, count=st.sampled_from([1, 1, 2, 5]))
    def deliver(self, node: int, count: int) -> None:
        self.happen(f"deliver {self.known(node)} {count}")

    @rule(node=NODES, path=st.sampled_from(PATHS))
    def write(self, node: int, path: str) -> None:
        self.texts += 1
        self.happen(f"write {self.known(node)} {path} v{self.texts}")

    @rule(node=NODES, path=st.sampled_from(PATHS + DIRECTORIES), to=st.sampled_from(PATHS))
    def rename(self, node: int, path: str, to: str) -> None:
        """Onto itself nobody sends one: kernel and mount answer that."""
        if path != to:
            self.happen(f"rename {self.known(node)} {path} {to}")

    @rule(
        node=NODES,
        path=st.sampled_from(PATHS + DIRECTORIES + LOCKS),
        mtime=st.sampled_from([0, 1, 2**32 - 1]),
    )
    def touch(self, node: int, path: str, mtime: int) -> None:
        """A time of 0 asks for the release of a lock, which happens once it has expired."""
        self.happen(f"touch {self.known(node)} {path} {mtime}")

    @rule(
        node=NODES,
        path=st.sampled_from(DIRECTORIES + LOCKS),
        verb=st.sampled_from(["mkdir", "delete"]),
    )
    def change_directory(self, node: int, path: str, verb: str) -> None:
        self.happen(f"{verb} {self.known(node)} {path}")

    @rule(node=NODES)
    def hear_of_quorum(self, node: int) -> None:
        """The truth, but before or after the group tells who is there."""
        known = self.known(node)
        self.happen(f"quorum {known} {'on' if self.world.is_quorate(known) else 'off'}")

    @rule(sides=SIDES, keep=KEEPS)
    def split(self, sides: list[int], keep: str) -> None:
        groups = [
            ",".join(str(node) for node in self.world.nodes if sides[node - 1] == side)
            for side in range(3)
        ]
        self.happen(f"partition {'|'.join(group for group in groups if group)}{keep}")

    @rule(node=NODES, keep=KEEPS, verb=st.sampled_from(["crash", "disconnect"]))
    def lose_corosync(self, node: int, keep: str, verb: str) -> None:
        self.happen(f"{verb} {self.known(node)}{keep}")

    @rule(node=NODES, verb=st.sampled_from(["restart", "reconnect", "rejoin", "announce-again"]))
    def come_back(self, node: int, verb: str) -> None:
        self.happen(f"{verb} {self.known(node)}")

    @rule(node=NODES, point=st.sampled_from(get_args(CrashPoint)))
    def doom(self, node: int, point: str) -> None:
        self.happen(f"doom {self.known(node)} {point}")

    @rule(node=NODES, fault=st.sampled_from(["busy", "broken", "well"]))
    def change_disk(self, node: int, fault: str) -> None:
        self.happen(f"disk {self.known(node)} {fault}")

    @rule(node=NODES, verb=st.sampled_from(["retry", "lose-patience", "verify", "kill"]))
    def let_the_daemon(self, node: int, verb: str) -> None:
        if verb == "kill" or self.world.nodes[self.known(node)].process is not None:
            self.happen(f"{verb} {self.known(node)}")

    @rule(node=NODES, count=st.sampled_from([1, 3]))
    def refuse_sends(self, node: int, count: int) -> None:
        self.happen(f"refuse-sends {self.known(node)} {count}")

    @rule(node=NODES, seconds=st.sampled_from([-60, 0, 60]))
    def skew(self, node: int, seconds: int) -> None:
        self.happen(f"skew {self.known(node)} {seconds}")

    @rule(seconds=st.sampled_from([1, 5, 130]))
    def tick(self, seconds: int) -> None:
        self.happen(f"tick {seconds}")

    @rule()
    def settle(self) -> None:
        self.happen("settle")

    @invariant()
    def databases_are_those_of_the_trees(self) -> None:
        """All other claims hold, or have failed, within the step itself."""
        for node in self.world.nodes.values():
            if node.process is not None and node.process.driver.waiting is None:
                assert node.is_failed or node.saved_state() == node.state

    def teardown(self) -> None:
        """End every program at rest."""
        if hasattr(self, "world") and not self.has_failed:
            self.happen("settle")
        self.on_end()

    def known(self, number: int) -> NodeId:
        return list(self.world.nodes)[(number - 1) % len(self.world.nodes)]

    def happen(self, line: str) -> None:
        """Let it happen; what fails is remembered, and the last to fail is the shortest."""
        self.lines.append(line)
        try:
            perform(self.world, line)
        except Exception:
            self.has_failed = True
            Program.last = Transcript(len(self.world.nodes), tuple(self.lines))
            raise


def search(number: int, examples: int) -> Transcript | None:
    """Make up so many programs, the same ones for a number; return the shortest that fails."""
    Program.last = None
    budget = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(seed(number)(Program), settings=budget)
    except Exception:
        if Program.last is None:
            raise
    return Program.last


def main(arguments: Iterable[str]) -> int:
    """Search; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.sim.programs", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--examples", type=int, default=200)
    options = parser.parse_args(list(arguments))
    be_quiet()
    progress, ended = Progress(options.examples, "programs"), itertools.count(1)
    Program.on_end = staticmethod(lambda: progress.note(next(ended)))
    found = search(options.seed, options.examples)
    well = f"{options.examples} programs of up to {STEPS} steps: all go well"
    print(f"# seed {options.seed}\n{found or well}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
