"""What fsync acknowledged survives, whatever fails; and bugs planted in the program are found."""

from collections.abc import Callable

import pytest

from pmxcfs.identity import NodeId
from pmxcfs.memdb.absences import Absences
from tests.sim.checker import ViolationError
from tests.sim.durable_soak import run_durable
from tests.sim.durable_world import DurableWorld, perform_durable

ONE, TWO, THREE = (NodeId(number) for number in (1, 2, 3))

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def world() -> DurableWorld:
    return DurableWorld(3)


@pytest.mark.parametrize("node_count", [3, 4, 5])
@pytest.mark.parametrize("seed", range(8))
def test_what_fsync_acknowledged_survives(seed: int, node_count: int) -> None:
    assert run_durable(f"seeded/{seed}", 400, node_count).steps >= 400


def test_the_runs_acknowledge_something() -> None:
    assert sum(run_durable(f"seeded/{seed}", 400).granted for seed in range(14)) > 40


def acknowledge(world: DurableWorld, node_id: NodeId, path: str, text: str) -> None:
    """Write, let it be answered, and fsync until all is done."""
    world.write(node_id, path, text)
    world.settle()
    world.fsync(node_id)
    world.settle()
    assert not world.durable(node_id).fsyncs


def test_what_was_synced_by_a_majority_outlives_all_power(world: DurableWorld) -> None:
    acknowledge(world, ONE, "/a", "v1")
    for node_id in world.nodes:
        world.cut_power(node_id)
    for node_id in (TWO, THREE):
        world.restart(node_id)
    world.settle()
    assert [world.text(node_id, "/a") for node_id in (TWO, THREE)] == ["v1", "v1"]


def test_without_fsync_a_loss_of_all_power_may_take_it(world: DurableWorld) -> None:
    world.write(ONE, "/a", "v1")
    world.settle()
    for node_id in world.nodes:
        world.cut_power(node_id)
    for node_id in world.nodes:
        world.restart(node_id)
    world.settle()
    assert world.text(ONE, "/a") is None


def lose_to_a_node_that_was_cut_off(world: DurableWorld) -> None:
    """Let the majority's acknowledged change lose.

    Node 3 is cut off with five messages of its own under way, which only it still gets; they are
    more changes than the majority makes before all meet again.
    """
    world.write(THREE, "/b", "v0")
    world.settle()
    for number in range(5):
        world.write(THREE, "/b", f"v{number}")
    world.partition([[ONE, TWO], [THREE]], keep=0)
    world.deliver(THREE, 5)
    for node_id in (ONE, TWO):
        world.tell_quorum(node_id, is_quorate=True)
    world.settle()
    acknowledge(world, ONE, "/a", "v1")
    world.heal()
    world.settle()


def test_a_node_that_was_cut_off_with_more_under_way_takes_it_away_and_copies_are_kept(
    world: DurableWorld,
) -> None:
    """The corner that the leader's rule leaves: the longest history wins, whatever is in it."""
    lose_to_a_node_that_was_cut_off(world)
    assert [world.text(node_id, "/a") for node_id in world.nodes] == [None, None, None]
    assert world.fsynced.overruled_count == 1
    assert [world.nodes[node_id].kept for node_id in world.nodes] == [1, 1, 0]


HALF_A_CLUSTER_MEETS_WHO_WAS_AWAY = """
write 1 /c v2
crash 2
doom 3 send-after
touch 4 /c 0
settle
touch 4 /c 0
restart 2
deliver 4
power-cut 1 0
crash 4 keep 1
restart 3
restart 1
settle
write 2 /c v16
settle
fsync 3
settle
delete 3 /priv/lock/a
tick 130
restart 4
settle
"""
"""Of four nodes three make a change and sync it. The third leaves for a moment, and in that moment
the fourth comes back, with more changes of its own, and wins: two nodes are no majority, but the
other two are none either, so nobody can have shown it that change."""


def test_half_of_a_cluster_still_knows_what_the_other_half_cannot_have_seen() -> None:
    world = DurableWorld(4)
    for line in HALF_A_CLUSTER_MEETS_WHO_WAS_AWAY.split("\n"):
        if line:
            perform_durable(world, line)
    assert world.fsynced.overruled_count == 1
    assert [world.nodes[node_id].kept for node_id in world.nodes] == [1, 1, 0, 0]


def test_a_majority_that_forgets_who_was_away_is_found(
    world: DurableWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Absences, "unseen_since", lambda self, node_id: None)
    with pytest.raises(ViolationError, match="is dropped, and nobody keeps a copy"):
        lose_to_a_node_that_was_cut_off(world)
