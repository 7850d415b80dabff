"""One node that differs: its clock, its program, its configuration; and nodes that come and go."""

import os
import time

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.versions import ClockSkew, OldConfiguration, OtherBinary
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability
from testinfra.host import Host

from .conftest import MakeLab
from .where import PYTHON

Nodes = dict[str, Host]

FELT_WITHIN_S = 30.0
HOUR_S = 3600


def test_a_daemon_with_another_clock_stamps_what_it_makes_with_it(lab: Lab, nodes: Nodes) -> None:
    active = Active(lab)
    active.inject(ClockSkew("node2", HOUR_S))
    lab.wait()
    assert nodes["node2"].run("touch /etc/pve/later").rc == 0
    seen_s = int(nodes["node1"].run("stat -c %Y /etc/pve/later").stdout)
    assert abs(seen_s - HOUR_S - time.time()) < 60
    assert abs(int(nodes["node2"].run("date +%s").stdout) - time.time()) < 60
    active.heal(ClockSkew("node2", HOUR_S))
    lab.trees_are_equal()


@pytest.mark.thorough
def test_a_node_runs_another_program_until_it_is_healed(lab: Lab, nodes: Nodes) -> None:
    script = f'#!/bin/sh\necho $$ > /run/other.pid\nexec {PYTHON} -m pmxcfs "$@"\n'
    assert nodes["node3"].run("printf %%s %s > /run/other && chmod +x /run/other", script).rc == 0
    active = Active(lab)
    assert OtherBinary("node3", "/nonexistent").available(lab) is not None
    active.inject(OtherBinary("node3", "/run/other"))
    lab.wait()
    assert nodes["node3"].run("kill -0 $(cat /run/other.pid)").rc == 0
    active.heal(OtherBinary("node3", "/run/other"))
    assert nodes["node3"].run("kill -0 $(cat /run/other.pid)").rc != 0
    lab.trees_are_equal()


@pytest.mark.thorough
@pytest.mark.needs("reference")
def test_a_node_goes_over_to_the_reference_and_back(lab: Lab, nodes: Nodes) -> None:
    fault = OtherBinary("node3", os.environ["PMXCFS_REFERENCE"])
    active = Active(lab)
    active.inject(fault)

    def takes_changes() -> None:
        assert nodes["node3"].run("mountpoint -q /etc/pve && echo theirs > /etc/pve/whose").rc == 0

    eventually(takes_changes, within_s=FELT_WITHIN_S)
    active.heal(fault)
    assert nodes["node3"].run("cat /etc/pve/whose").stdout == "theirs\n"
    lab.trees_are_equal()


@pytest.mark.thorough
def test_corosync_with_an_old_configuration_ends_and_the_others_go_on(
    lab: Lab, nodes: Nodes
) -> None:
    active = Active(lab)
    active.inject(OldConfiguration("node1"))

    def has_ended() -> None:
        assert [row.corosync for row in lab.statuses(["node1"])] == ["down"]

    eventually(has_ended, within_s=FELT_WITHIN_S)
    lab.wait(["node2", "node3"])
    active.heal(OldConfiguration("node1"))
    lab.trees_are_equal()


@pytest.mark.thorough
@pytest.mark.lab_has(Capability.RESIZING)
def test_a_node_joins_a_running_cluster_and_another_leaves_it(make_lab: MakeLab) -> None:
    lab = make_lab(3)
    assert lab.exec("node1", "sh", "-c", "echo before > /etc/pve/file").exit_status == 0
    lab.join("node4")
    assert lab.exec("node4", "cat", "/etc/pve/file").stdout == b"before\n"
    lab.remove("node1")
    assert lab.plan.names == ("node2", "node3", "node4")
    assert lab.exec("node4", "sh", "-c", "echo after > /etc/pve/file").exit_status == 0
    lab.partition("2")
    lab.wait(["node3", "node4"])
    lab.heal()
    lab.wait()
    lab.trees_are_equal()
