"""Every fault does to a real lab what its name says, and the lab recovers when it heals."""

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.partitions import Halves, Isolate, Partition
from pmxcfs_lab.faults.services import Hang, Kill, RestartStorm, Stop
from pmxcfs_lab.lab import Lab
from testinfra.host import Host

Nodes = dict[str, Host]

FELT_WITHIN_S = 30.0


def quorate(lab: Lab) -> set[str]:
    return {row.name for row in lab.statuses() if row.quorate}


def running(lab: Lab, node: str) -> tuple[str, str]:
    (row,) = lab.statuses([node])
    return row.corosync, row.pmxcfs


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        (Isolate("node1"), {"node2", "node3"}),
        pytest.param(Halves(("node3",)), {"node1", "node2"}, marks=pytest.mark.thorough),
        pytest.param(Partition((("node1",), ("node2",))), set(), marks=pytest.mark.thorough),
    ],
)
def test_only_a_side_with_a_majority_stays_quorate(
    lab: Lab, nodes: Nodes, fault: Fault, left: set[str]
) -> None:
    active = Active(lab)
    active.inject(fault)

    def is_felt() -> None:
        assert quorate(lab) == left

    eventually(is_felt, within_s=FELT_WITHIN_S)
    active.heal(fault)
    assert quorate(lab) == set(lab.plan.names)
    lab.trees_are_equal()


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        pytest.param(Kill("node2", "pmxcfs"), ("up", "exited 137"), marks=pytest.mark.thorough),
        (Stop("node2"), ("down", "down")),
    ],
)
def test_daemons_that_were_ended_are_back_when_it_is_healed(
    lab: Lab, nodes: Nodes, fault: Fault, seen: tuple[str, str]
) -> None:
    active = Active(lab)
    active.inject(fault)
    assert running(lab, "node2") == seen
    active.heal(fault)
    assert running(lab, "node2") == ("up", "up")
    lab.trees_are_equal()


@pytest.mark.thorough
def test_a_daemon_that_hangs_is_there_and_answers_nothing(lab: Lab, nodes: Nodes) -> None:
    active = Active(lab)
    active.inject(Hang("node3"))
    assert running(lab, "node3")[1] == "no answer"
    active.heal(Hang("node3"))
    assert nodes["node3"].run("echo on > /etc/pve/goes").rc == 0
    lab.trees_are_equal()


@pytest.mark.thorough
def test_a_corosync_that_hangs_costs_its_node_the_quorum(lab: Lab, nodes: Nodes) -> None:
    active = Active(lab)
    active.inject(Hang("node1", "corosync"))
    lab.wait(["node2", "node3"], within_s=FELT_WITHIN_S)
    active.heal(Hang("node1", "corosync"))
    assert quorate(lab) == set(lab.plan.names)
    lab.trees_are_equal()


@pytest.mark.thorough
def test_a_storm_of_restarts_ends_with_all_nodes_equal(lab: Lab, nodes: Nodes) -> None:
    active = Active(lab)
    before = nodes["node2"].run("pidof corosync").stdout
    active.inject(RestartStorm("node2", times=2))
    assert nodes["node2"].run("pidof corosync").stdout not in ("", before)
    active.heal(RestartStorm("node2", times=2))
    lab.trees_are_equal()
