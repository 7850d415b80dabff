"""What users of a cluster rely on, each told as a short story of three nodes."""

from errno import EACCES, EEXIST, EIO

import pytest

from pmxcfs.dcdb import DiskState
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Mkdir
from tests.sim.node import CrashPoint
from tests.sim.world import World

ONE, TWO, THREE = (NodeId(number) for number in (1, 2, 3))


@pytest.fixture
def world() -> World:
    return World(3)


def texts(world: World, path: str) -> list[str | None]:
    return [world.text(node_id, path) for node_id in world.nodes]


def result(world: World, node_id: NodeId) -> int | None:
    return world.last_request[node_id].result


def test_a_write_reaches_every_node(world: World) -> None:
    world.write(ONE, "/a", "v1")
    world.settle()
    assert result(world, ONE) == len("v1")
    assert texts(world, "/a") == ["v1", "v1", "v1"]


def test_a_write_is_answered_when_it_comes_back_and_not_before(world: World) -> None:
    world.mkdir(ONE, "/d")
    assert result(world, ONE) is None
    world.deliver(TWO)
    assert result(world, ONE) is None, "that others have it is no answer"
    world.deliver(ONE)
    assert result(world, ONE) == 0


def test_of_two_who_make_the_same_directory_one_is_refused(world: World) -> None:
    world.mkdir(TWO, "/priv")
    world.mkdir(ONE, "/priv")
    world.settle()
    assert (result(world, ONE), result(world, TWO)) == (-EEXIST, 0)


def test_an_isolated_node_refuses_writes_and_still_reads(world: World) -> None:
    world.write(ONE, "/a", "v1")
    world.settle()
    world.isolate(THREE)
    world.settle()
    world.write(THREE, "/a", "v2")
    assert result(world, THREE) == -EACCES
    assert world.text(THREE, "/a") == "v1"


def test_the_majority_goes_on_and_the_minority_catches_up(world: World) -> None:
    world.isolate(THREE)
    world.settle()
    world.write(ONE, "/a", "v1")
    world.settle()
    assert texts(world, "/a") == ["v1", "v1", None]
    world.heal()
    world.settle()
    assert texts(world, "/a") == ["v1", "v1", "v1"]


def test_a_node_with_an_empty_database_gets_the_tree(world: World) -> None:
    world.write(ONE, "/a", "v1")
    world.settle()
    world.crash(THREE)
    world.wipe(THREE)
    world.restart(THREE)
    world.settle()
    assert world.text(THREE, "/a") == "v1"
    assert world.nodes[THREE].saved_state() == world.nodes[ONE].saved_state()


def test_the_leader_is_not_the_lowest_but_the_newest(world: World) -> None:
    world.crash(ONE)
    world.settle()
    world.write(THREE, "/a", "v1")
    world.settle()
    world.restart(ONE)
    world.settle()
    assert texts(world, "/a") == ["v1", "v1", "v1"]
    assert {node.running.replica.leader for node in world.nodes.values()} == {TWO}


def test_a_killed_process_comes_back_with_what_it_committed(world: World) -> None:
    world.write(ONE, "/a", "v1")
    world.settle()
    world.kill(ONE)
    world.restart(ONE)
    assert world.text(ONE, "/a") == "v1"
    world.write(TWO, "/b", "v2")
    world.settle()
    assert texts(world, "/b") == ["v2", "v2", "v2"]


def test_a_node_that_hears_of_quorum_late_applies_nothing_and_comes_back(world: World) -> None:
    world.tell_quorum(THREE, is_quorate=False)
    world.write(ONE, "/a", "v1")
    world.deliver(THREE)
    assert world.nodes[THREE].running.replica.mode is Mode.LEAVE
    assert world.text(THREE, "/a") is None
    world.settle()
    assert texts(world, "/a") == ["v1", "v1", "v1"]


def test_an_operation_that_meets_a_joining_node_waits_and_succeeds(world: World) -> None:
    world.crash(THREE)
    world.settle()
    world.restart(THREE)
    world.deliver(ONE)
    assert world.nodes[ONE].running.replica.mode is Mode.START_SYNC
    world.write(ONE, "/a", "v1")
    assert result(world, ONE) is None
    world.settle()
    assert result(world, ONE) == len("v1")
    assert texts(world, "/a") == ["v1", "v1", "v1"]


def test_who_loses_corosync_tells_its_callers_at_once(world: World) -> None:
    world.write(ONE, "/a", "v1")
    world.disconnect(ONE)
    assert result(world, ONE) is not None
    world.write(ONE, "/a", "v2")
    assert result(world, ONE) == -EACCES
    world.reconnect(ONE)
    world.settle()
    assert len(set(texts(world, "/a"))) == 1


@pytest.mark.parametrize(
    ("point", "is_made"),
    [("send-before", False), ("send-after", True), ("commit-before", True), ("commit-after", True)],
)
def test_a_node_may_die_anywhere_in_a_change(
    world: World, point: CrashPoint, is_made: bool
) -> None:
    world.doom(ONE, point)
    world.mkdir(ONE, "/d")
    world.settle()
    assert world.nodes[ONE].process is None
    world.restart(ONE)
    world.settle()
    found = [
        node.running.replica.memdb.tree.find(b"d") is not None for node in world.nodes.values()
    ]
    assert found == [is_made] * 3


def test_changes_wait_for_a_busy_disk_and_reads_go_on(world: World) -> None:
    world.set_disk(ONE, "busy")
    world.ask(ONE, Mkdir(b"d"))
    world.deliver(ONE)
    assert result(world, ONE) is None
    assert world.nodes[ONE].running.replica.memdb.tree.find(b"d") is None
    world.set_disk(ONE, None)
    world.retry_disk(ONE)
    assert result(world, ONE) == 0


def test_a_node_whose_disk_breaks_leaves_for_good_and_the_others_go_on(world: World) -> None:
    world.set_disk(ONE, "broken")
    world.mkdir(ONE, "/d")
    world.deliver(ONE)
    assert result(world, ONE) == -EIO
    world.settle()
    world.mkdir(ONE, "/e")
    world.write(TWO, "/b", "v3")
    world.settle()
    assert result(world, ONE) == -EIO
    assert world.nodes[ONE].running.replica.disk is DiskState.FAILED
    assert [world.text(node_id, "/b") for node_id in (TWO, THREE)] == ["v3", "v3"]
