"""Who makes a name first is decided once for the whole cluster: racers on three nodes.

A racer is a process on a node that makes what it is told to. All racers of a round are told at
the same moment to make the same name.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability, Service
from testinfra.host import Host

from .mixture import Mixture
from .services import end
from .where import PYTHON

pytestmark = pytest.mark.lab_has(Capability.SHARED_FOLDERS)

Nodes = dict[str, Host]

ROUNDS = 150
RACERS_PER_NODE = 2
RESTARTS = 2
SETTLES_WITHIN_S = 60.0
ENDS_WITHIN_S = 20.0

RACER = """
import errno, os, sys

name = sys.argv[1].encode()


def create(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    os.write(descriptor, name)
    os.close(descriptor)


calls = {"create": create, "mkdir": os.mkdir, "rmdir": os.rmdir, "unlink": os.unlink}
print("ready", flush=True)
for line in sys.stdin:
    call, path = line.split()
    try:
        calls[call](path)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
    else:
        print("won", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Racer:
    """A process on a node."""

    name: str
    process: subprocess.Popen[str]

    def tell(self, call: str, path: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{call} {path}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """Return "won" or the name of an error."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class Race:
    """Racers that wait for a name, and how often each of them won."""

    def __init__(self, lab: Lab, nodes: Sequence[str], script: Path) -> None:
        script.write_text(RACER)
        self.wins: Counter[str] = Counter()
        self._chance = Random(0)
        self._racers = [
            Racer(name, _start(lab.attach_argv(node, [PYTHON, str(script), name])))
            for node in nodes
            for name in (f"{node}-{number}" for number in range(RACERS_PER_NODE))
        ]

    def __enter__(self) -> Self:
        for racer in self._racers:
            assert racer.answer() == "ready"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for racer in self._racers:
            racer.process.communicate(timeout=ENDS_WITHIN_S)

    def run(self, call: str, path: str) -> dict[str, str]:
        """Have all make the same name; return their answers by their names."""
        self._chance.shuffle(self._racers)
        for racer in self._racers:
            racer.tell(call, path)
        answers = {racer.name: racer.answer() for racer in self._racers}
        self.wins.update(name for name, answer in answers.items() if answer == "won")
        return answers

    def alone(self, name: str, call: str, path: str) -> str:
        """Have one of them do something; return its answer."""
        (racer,) = (racer for racer in self._racers if racer.name == name)
        racer.tell(call, path)
        return racer.answer()

    def assert_many_won(self) -> None:
        """Assert that nobody was always the first: there would have been no race."""
        winning_nodes = {name.partition("-")[0] for name in self.wins}
        assert len(winning_nodes) > 1, self.wins


@pytest.fixture
def race(lab: Lab, nodes: Nodes, tmp_path: Path) -> Iterator[Race]:
    with Race(lab, list(nodes), tmp_path / "racer.py") as race:
        yield race


def make_directory(nodes: Nodes, path: str) -> None:
    """Make a directory, and wait for it: other nodes may have it a moment later."""
    assert nodes["node1"].run("mkdir -p %s", path).rc == 0
    for node in nodes.values():
        eventually(partial(_assert_directory, node, path), within_s=SETTLES_WITHIN_S)


def _assert_directory(node: Host, path: str) -> None:
    assert node.run("test -d %s", path).rc == 0


def the_winner(answers: dict[str, str]) -> str:
    """Return who won; the test fails unless it was one, and all others heard EEXIST."""
    winners = [name for name, answer in answers.items() if answer == "won"]
    assert len(winners) == 1, answers
    assert Counter(answers.values()) == {"won": 1, "EEXIST": len(answers) - 1}
    return winners[0]


def test_exactly_one_of_many_creates_a_file(lab: Lab, nodes: Nodes, race: Race) -> None:
    make_directory(nodes, "/etc/pve/race")
    winners = [the_winner(race.run("create", f"/etc/pve/race/{n}")) for n in range(ROUNDS)]
    race.assert_many_won()
    lab.trees_are_equal()
    read = f"cd /etc/pve/race; for n in $(seq 0 {ROUNDS - 1}); do cat $n; echo; done"
    for node in nodes.values():
        assert node.run(read).stdout.split() == winners


def test_exactly_one_of_many_takes_a_lock(lab: Lab, nodes: Nodes, race: Race) -> None:
    make_directory(nodes, "/etc/pve/priv/lock")
    for number in range(ROUNDS):
        the_winner(race.run("mkdir", f"/etc/pve/priv/lock/race-{number}"))
    race.assert_many_won()
    lab.trees_are_equal()


@pytest.mark.parametrize(("make", "remove"), [("mkdir", "rmdir"), ("create", "unlink")])
def test_exactly_one_of_many_gets_what_the_last_holder_has_just_left(
    lab: Lab, nodes: Nodes, race: Race, make: str, remove: str
) -> None:
    """The last holder runs too: other nodes may not know for a second that the name is free."""
    make_directory(nodes, "/etc/pve/priv/lock")
    path = f"/etc/pve/priv/lock/again-{make}"
    for _ in range(ROUNDS):
        winner = the_winner(race.run(make, path))
        assert race.alone(winner, remove, path) == "won"
    lab.trees_are_equal()


def test_nobody_loses_to_himself_while_a_member_comes_and_goes(
    lab: Lab, nodes: Nodes, mixture: Mixture, tmp_path: Path
) -> None:
    """EBUSY, for an outcome that is unknown, is allowed then; a name that nobody made is not."""
    make_directory(nodes, "/etc/pve/coming")
    rounds = 0
    with (
        Race(lab, ["node1", "node2"], tmp_path / "racer.py") as race,
        ThreadPoolExecutor(1) as thread,
    ):
        restarts = thread.submit(_restart_often, lab, is_theirs="node3" in mixture.theirs)
        while not restarts.done():
            path = f"/etc/pve/coming/{rounds}"
            answers = race.run("create", path)
            rounds += 1
            counts = Counter(answers.values())
            assert counts["won"] <= 1, answers
            assert counts["won"] == 1 or counts["EBUSY"], answers
            assert counts.keys() <= {"won", "EEXIST", "EBUSY"}, answers
            for name in (name for name, answer in answers.items() if answer == "won"):
                race.alone(name, "unlink", path)  # else there are more than a probe can read
        restarts.result()
    race.assert_many_won()
    assert rounds > RESTARTS
    lab.wait(within_s=SETTLES_WITHIN_S)
    lab.trees_are_equal()


def _restart_often(lab: Lab, *, is_theirs: bool) -> None:
    """Stop a daemon and start it again."""
    for _ in range(RESTARTS):
        end(lab, "node3", [Service.PMXCFS])
        lab.start("node3", [Service.PMXCFS])
        is_back = partial(_assert_in_sync, lab, "node3", is_theirs=is_theirs)
        eventually(is_back, within_s=SETTLES_WITHIN_S)


def _assert_in_sync(lab: Lab, node: str, *, is_theirs: bool) -> None:
    """Assert that a node takes part; its tree is not compared, since that changes all the time.

    The reference does not tell its mode, only who is online.
    """
    (row,) = lab.statuses([node])
    assert row.sync == (None if is_theirs else "synced")
    assert row.members == lab.plan.names


def _start(argv: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
