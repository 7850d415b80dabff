"""A synchronisation may be interrupted after any of its deliveries, by any change of membership."""

from itertools import cycle

import pytest

from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import NodeId
from tests.sim.vocabulary import perform
from tests.sim.world import World

STORY = """
write 1 /a v1
mkdir 2 /d
settle
crash 3
settle
write 2 /a v2
write 1 /d/b v3
settle
restart 3
"""
"""Node 3 comes back to two who have gone on; from here on it is brought up to date."""

INTERRUPTIONS = [
    "kill 1",
    "kill 3",
    "crash 1 keep 0",
    "crash 2 keep 1",
    "crash 3 keep 0",
    "isolate 1 keep 0",
    "isolate 2",
    "isolate 3 keep 1",
    "partition 1|2|3 keep 0",
    "disconnect 1",
    "disconnect 3 keep 0",
]

DELIVERIES = 31
"""More than one synchronisation of three nodes takes."""


def _begin(world: World, deliveries: int) -> None:
    """Tell the story, then let the nodes read by turns, one event each."""
    for line in STORY.strip().splitlines():
        perform(world, line)
    turns = cycle(world.nodes)
    for _ in range(deliveries):
        if not any(node.has_unread() for node in world.nodes.values()):
            return
        world.deliver(_next_reader(world, turns))


def _next_reader(world: World, turns: "cycle[NodeId]") -> NodeId:
    return next(node_id for node_id in turns if world.nodes[node_id].has_unread())


def _modes(world: World) -> list[Mode]:
    return [node.running.replica.mode for node in world.nodes.values()]


def test_the_story_ends_within_so_many_deliveries() -> None:
    world = World(3)
    _begin(world, DELIVERIES)
    assert _modes(world) == [Mode.SYNCED] * 3
    assert world.text(NodeId(3), "/d/b") == "v3"


def test_the_story_passes_through_an_update() -> None:
    seen = set()
    for deliveries in range(DELIVERIES + 1):
        world = World(3)
        _begin(world, deliveries)
        seen.add(_modes(world)[2])
    assert {Mode.START, Mode.START_SYNC, Mode.UPDATE, Mode.SYNCED} <= seen


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("deliveries", range(DELIVERIES))
def test_the_nodes_agree_after_an_interruption(deliveries: int, interruption: str) -> None:
    world = World(3)
    _begin(world, deliveries)
    perform(world, "write 1 /a v4")
    perform(world, interruption)
    world.settle()
    for line in ("heal", "restart 1", "restart 2", "restart 3", "settle"):
        perform(world, line)
    assert {world.text(node_id, "/d/b") for node_id in world.nodes} == {"v3"}
