"""What a broken or hostile member sends makes others leave and come back, and breaks nobody."""

import random

import pytest
from structlog.testing import capture_logs

from pmxcfs.dfsm.events import Delivered
from tests.sim.agreement import EqualAfterSettling
from tests.sim.durability import DatabaseEqualsTree
from tests.sim.guests import GuestsUnique
from tests.sim.service import EverybodyIsServed
from tests.sim.vocabulary import perform
from tests.sim.weather import Weather
from tests.sim.world import World

SOUND = (DatabaseEqualsTree, GuestsUnique)


def nonsense(rng: random.Random, seen: list[bytes]) -> bytes:
    """Return random bytes, or a message with some of its bytes changed, cut or added."""
    data = bytearray(rng.choice(seen) if seen and rng.random() < 0.8 else rng.randbytes(40))
    for _ in range(rng.choice((1, 1, 2, 5))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    length = rng.choice((len(data), len(data), rng.randrange(len(data) + 1)))
    return bytes(data[:length]) + rng.randbytes(rng.choice((0, 0, 0, 9)))


def inject(world: World, rng: random.Random) -> None:
    """Let one process send nonsense in its own name."""
    joined = [node for node in world.nodes.values() if node.process and node.process.is_joined]
    if joined:
        sender = rng.choice(joined).running.member
        log = world.cpg._ring_of[sender.node_id].log
        seen = [entry.data for entry in log if isinstance(entry, Delivered)]
        world.cpg.multicast(sender, nonsense(rng, seen[-30:]))


@pytest.mark.parametrize("seed", range(12))
def test_the_tree_is_sound_and_everybody_comes_back(seed: int) -> None:
    rng = random.Random(f"hostile/{seed}")
    world, weather = World(3, SOUND), Weather(rng)
    with capture_logs() as lines:
        for _ in range(300):
            perform(world, weather.next_line(world))
            if rng.random() < 0.1:
                inject(world, rng)
    reasons = [line["reason"] for line in lines if line["event"] == "leaving the group"]
    assert all(len(reason.split()) > 2 for reason in reasons), reasons
    world.heal()
    for _ in range(2):  # the second time for those whom a newer protocol had expelled
        for node_id, node in world.nodes.items():
            if node.is_failed:
                world.kill(node_id)
            world.restart(node_id)
        world.settle()
    world.verify(min(world.nodes))  # who has another tree leaves, and takes over the right one
    world.settle()
    everybody = [list(world.nodes.values())]
    EqualAfterSettling().on_settled(everybody)
    EverybodyIsServed().on_settled(everybody)
