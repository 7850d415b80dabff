"""Changes that no other node has are not lost without a trace; merely stale nodes keep nothing."""

from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from .where import PYTHON

Nodes = dict[str, Host]

STATE = "/var/lib/pve-cluster"
TOOL = str(Path(PYTHON).with_name("pmxcfs-db"))


def run(node: Host, command: str, *arguments: str) -> str:
    result = node.run(command, *arguments)
    assert result.rc == 0, result.stderr
    text: str = result.stdout
    return text


def kept(node: Host) -> list[str]:
    return run(node, "find %s -name 'config.db.*' -printf '%%f\\n'", STATE).split()


@pytest.fixture(autouse=True)
def before(nodes: Nodes) -> None:
    run(nodes["node1"], "echo old > /etc/pve/edited && echo old > /etc/pve/doomed")


def change_a_lot(node: Host) -> None:
    run(node, "echo new > /etc/pve/edited && rm -f /etc/pve/doomed")
    run(
        node,
        "for i in 1 2 3 4 5 6; do echo $i > /etc/pve/draft && mv /etc/pve/draft /etc/pve/s; done",
    )


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_node_that_only_missed_changes_keeps_no_copy(
    lab: Lab, nodes: Nodes, is_killed: bool
) -> None:
    if is_killed:
        lab.kill("node3")
    else:
        lab.stop("node3", [Service.PMXCFS])
    lab.wait(["node1", "node2"])
    change_a_lot(nodes["node1"])
    lab.start("node3")
    lab.wait()
    lab.trees_are_equal()
    assert [name for name in kept(nodes["node3"]) if "lost" in name or "unshared" in name] == []


def test_what_was_changed_in_local_mode_is_kept_when_the_cluster_has_moved_on(
    lab: Lab, nodes: Nodes
) -> None:
    node = nodes["node3"]
    lab.stop("node3", [Service.PMXCFS])
    lab.start("node3", [Service.PMXCFS], local=True)
    run(node, "until mountpoint -q /etc/pve; do sleep 0.1; done; echo precious > /etc/pve/alone")
    assert "config.db.unshared" in kept(node)
    lab.stop("node3", [Service.PMXCFS])
    change_a_lot(nodes["node1"])

    lab.start("node3", [Service.PMXCFS])
    lab.wait()

    lab.trees_are_equal()
    (copy,) = [name for name in kept(node) if name.startswith("config.db.lost-")]
    assert "config.db.unshared" not in kept(node)
    difference = node.run("%s diff %s/%s %s/config.db", TOOL, STATE, copy, STATE)
    assert difference.rc == 1, difference.stderr
    assert "precious" in difference.stdout
    log = lab.logs("node3")["pmxcfs"].read_text()
    assert "the leader's tree drops content of ours" in log
    assert "alone" in log
