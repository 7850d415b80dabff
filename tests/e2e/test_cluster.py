"""Three nodes on real corosync: what an operator relies on when nodes and links fail."""

from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .conftest import MakeLab
from .mixture import Mixture
from .mounts import (
    SETTLES_WITHIN_S,
    Nodes,
    errno_of_create,
    exists,
    read,
    run,
    wait_for_quorum,
    wait_for_size,
    wait_for_text,
    wait_until_gone,
    write,
)
from .services import end


def test_a_file_written_on_one_node_is_read_on_the_others(lab: Lab, nodes: Nodes) -> None:
    write(nodes["node1"], "shared.cfg", "one for all")
    for reader in nodes.values():
        wait_for_text(reader, "shared.cfg", "one for all")
    lab.trees_are_equal()


def test_every_node_sees_what_another_one_appended(lab: Lab, nodes: Nodes) -> None:
    written = 0
    write(nodes["node1"], "turns", "")
    for name, node in nodes.items():
        wait_for_size(node, "turns", written)
        written += len(run(node, "echo %s | tee -a /etc/pve/turns", name))
    for reader in nodes.values():
        wait_for_text(reader, "turns", "node1\nnode2\nnode3\n")
    lab.trees_are_equal()


def test_a_vm_id_in_use_is_refused_on_another_node(lab: Lab, nodes: Nodes) -> None:
    for name in ("node1", "node2"):
        run(nodes["node1"], "mkdir -p /etc/pve/nodes/%s/qemu-server", name)
    write(nodes["node1"], "nodes/node1/qemu-server/100.conf", "memory: 512")

    refused = errno_of_create(nodes["node2"], "nodes/node2/qemu-server/100.conf")

    assert refused == "EEXIST"

    def is_listed() -> None:
        assert '"100": { "node": "node1", "type": "qemu"' in read(nodes["node3"], ".vmlist")

    eventually(is_listed, within_s=SETTLES_WITHIN_S)
    lab.trees_are_equal()


def test_an_isolated_node_refuses_writes_reads_on_and_comes_back(lab: Lab, nodes: Nodes) -> None:
    write(nodes["node1"], "before", "known to all")

    lab.partition("1,2", "3")
    wait_for_quorum(lab, "node3", expected=False)
    lab.wait(["node1", "node2"])

    assert errno_of_create(nodes["node3"], "refused") == "EACCES"
    assert read(nodes["node3"], "before") == "known to all"
    write(nodes["node2"], "meanwhile", "the majority goes on")
    wait_for_text(nodes["node1"], "meanwhile", "the majority goes on")
    assert not exists(nodes["node3"], "meanwhile")

    lab.heal()
    lab.wait(within_s=SETTLES_WITHIN_S)
    wait_for_text(nodes["node3"], "meanwhile", "the majority goes on")
    assert not exists(nodes["node3"], "refused")
    write(nodes["node3"], "after", "writable again")
    lab.trees_are_equal()


def test_a_node_killed_with_signal_9_comes_back_and_catches_up(lab: Lab, nodes: Nodes) -> None:
    write(nodes["node2"], "mine", "written by the victim")
    lab.kill("node2")
    lab.wait(["node1", "node3"], within_s=SETTLES_WITHIN_S)
    write(nodes["node1"], "missed", "while node2 was dead")
    run(nodes["node3"], "rm /etc/pve/mine")

    lab.start("node2")
    lab.wait(within_s=SETTLES_WITHIN_S)

    assert read(nodes["node2"], "missed") == "while node2 was dead"
    wait_until_gone(nodes["node2"], "mine")
    lab.trees_are_equal()


def test_a_daemon_killed_alone_mounts_over_its_dead_mount(lab: Lab, nodes: Nodes) -> None:
    lab.kill("node3", [Service.PMXCFS])
    dead = nodes["node3"].run("ls /etc/pve")
    assert "not connected" in dead.stderr

    lab.start("node3", [Service.PMXCFS])
    lab.wait(within_s=SETTLES_WITHIN_S)
    lab.trees_are_equal()


def test_corosync_killed_under_the_daemon_makes_the_mount_read_only_until_it_is_back(
    lab: Lab, nodes: Nodes
) -> None:
    lab.kill("node1", [Service.COROSYNC])
    wait_for_quorum(lab, "node1", expected=False)
    assert errno_of_create(nodes["node1"], "refused") == "EACCES"

    lab.start("node1", [Service.COROSYNC])
    lab.wait(within_s=SETTLES_WITHIN_S)
    write(nodes["node1"], "again", "without a restart of the daemon")
    lab.trees_are_equal()


def test_a_node_whose_database_was_deleted_gets_it_back(lab: Lab, nodes: Nodes) -> None:
    write(nodes["node1"], "precious", "only in config.db")
    end(lab, "node3")
    run(nodes["node3"], "rm /var/lib/pve-cluster/config.db*")

    lab.start("node3")
    lab.wait(within_s=SETTLES_WITHIN_S)

    assert read(nodes["node3"], "precious") == "only in config.db"
    lab.trees_are_equal()


@pytest.fixture
def copied_database(lab: Lab, nodes: Nodes, mixture: Mixture, tmp_path: Path) -> Path:
    """The config.db of a node that was stopped for the copy."""
    write(nodes["node1"], "kept", "for a rainy day")
    lab.trees_are_equal()
    end(lab, "node2", [Service.PMXCFS])
    copy = tmp_path / "config.db"
    copy.write_bytes(lab.exec("node2", "cat", "/var/lib/pve-cluster/config.db").stdout)
    lab.start("node2", [Service.PMXCFS])
    lab.wait()
    return copy


def test_a_copied_database_serves_the_same_tree_alone_on_another_host(
    lab: Lab, copied_database: Path, make_lab: MakeLab
) -> None:
    elsewhere = make_lab(1, {"node1": copied_database}, local=True)

    assert elsewhere.trees()["node1"] == lab.trees()["node2"]
    assert elsewhere.exec("node1", "sh", "-c", "echo writable > /etc/pve/alone").exit_status == 0
    lab.trees_are_equal()
