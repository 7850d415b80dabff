"""Two nodes and a quorum device: the side that the device votes for goes on."""

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.partitions import Isolate
from pmxcfs_lab.faults.services import Kill
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.options import Options
from pmxcfs_lab.provider import Capability

from .conftest import MakeLab

pytestmark = pytest.mark.lab_has(Capability.WITNESS)

FELT_WITHIN_S = 40.0


@pytest.fixture(scope="module")
def pair(make_lab: MakeLab) -> Lab:
    return make_lab(2, options=Options(qdevice=True))


def test_of_two_nodes_the_one_that_is_left_goes_on(pair: Lab) -> None:
    active = Active(pair)
    active.inject(Kill("node1"))
    pair.wait(["node2"], within_s=FELT_WITHIN_S)
    assert pair.exec("node2", "sh", "-c", "echo on > /etc/pve/goes").exit_status == 0
    active.heal(Kill("node1"))
    assert pair.exec("node1", "cat", "/etc/pve/goes").stdout == b"on\n"
    pair.trees_are_equal()


@pytest.mark.thorough
def test_a_node_that_reaches_neither_the_other_nor_the_device_loses_quorum(pair: Lab) -> None:
    active = Active(pair)
    active.inject(Isolate("node1"))

    def only_the_other() -> None:
        assert [row.quorate for row in pair.statuses()] == [False, True]

    eventually(only_the_other, within_s=FELT_WITHIN_S)
    active.heal(Isolate("node1"))
    pair.trees_are_equal()
