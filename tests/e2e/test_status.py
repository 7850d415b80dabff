"""What the nodes of a cluster know of each other, through partitions, crashes and restarts."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability, Service
from testinfra.host import Host

from .services import end
from .test_mixed import ask
from .where import PYTHON

Nodes = dict[str, Host]

WITHIN_S = 30.0


def shown(node: Host, name: str) -> dict[str, Any]:
    """Return one of the status texts, parsed."""
    text: dict[str, Any] = json.loads(node.run("cat %s", f"/etc/pve/{name}").stdout)
    return text


def online(node: Host) -> set[str]:
    """Return the names of the nodes that a node shows as online."""
    listed = shown(node, ".members")["nodelist"]
    return {name for name, entry in listed.items() if entry["online"]}


def starts(node: Host) -> list[tuple[str, int]]:
    """Return node and process of every start that a node's cluster log shows, newest first."""
    return [(entry["node"], entry["pid"]) for entry in shown(node, ".clusterlog")["data"]]


def wait_for_online(nodes: Nodes, expected: dict[str, set[str]]) -> None:
    def check() -> None:
        assert {name: online(nodes[name]) for name in expected} == expected

    eventually(check, within_s=WITHIN_S)


def wait_for_equal_logs(nodes: Nodes) -> list[tuple[str, int]]:
    def check() -> None:
        texts = [node.run("cat /etc/pve/.clusterlog").stdout for node in nodes.values()]
        assert len(set(texts)) == 1

    eventually(check, within_s=WITHIN_S)
    return starts(nodes["node1"])


def test_what_clients_tell_one_node_all_nodes_show_alike(lab: Lab, nodes: Nodes) -> None:
    """A value, a metric and a log entry of a management client on each node."""
    now_s = str(int(time.time()))
    for name in lab.plan.names:
        ask(lab, name, "set", "kv/told", f"by {name}")
        ask(lab, name, "set", f"rrd/pve2-vm/{name}", f"{now_s}:2:U")
        ask(lab, name, "log", f"said on {name}")
    metrics = {f"pve2-vm/{name}:{now_s}:2:U" for name in nodes}

    def check() -> None:
        for node in nodes.values():
            values = shown(node, ".version")["kvstore"]
            assert {name: values[name]["kv/told"] for name in nodes} == dict.fromkeys(nodes, 0)
            assert metrics <= set(node.run("cat /etc/pve/.rrd").stdout.rstrip("\0").split("\n"))
            entries = shown(node, ".clusterlog")["data"]
            told = {(entry["node"], entry["msg"]) for entry in entries}
            assert {(name, f"said on {name}") for name in nodes} <= told

    eventually(check, within_s=WITHIN_S)
    wait_for_equal_logs(nodes)


def test_every_node_shows_every_nodes_address(lab: Lab, nodes: Nodes) -> None:
    expected = {
        node.name: {"id": node.node_id, "online": 1, "ip": node.address} for node in lab.plan.nodes
    }

    def check() -> None:
        for node in nodes.values():
            assert shown(node, ".members")["nodelist"] == expected

    eventually(check, within_s=WITHIN_S)
    lab.trees_are_equal()


def test_a_node_that_is_cut_off_is_offline_for_the_others_and_they_for_it(
    lab: Lab, nodes: Nodes
) -> None:
    everybody = set(lab.plan.names)
    lab.partition("node3")
    most = {"node1", "node2"}
    wait_for_online(nodes, {"node1": most, "node2": most, "node3": {"node3"}})
    lab.heal()
    wait_for_online(nodes, dict.fromkeys(lab.plan.names, everybody))
    lab.trees_are_equal()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_daemon_that_ends_is_offline_and_its_return_is_logged_everywhere(
    lab: Lab, nodes: Nodes, how: str
) -> None:
    before = wait_for_equal_logs(nodes)
    if how == "kill":
        lab.kill("node2")
    else:
        end(lab, "node2")
    wait_for_online(nodes, {"node1": {"node1", "node3"}, "node3": {"node1", "node3"}})
    assert starts(nodes["node1"]) == before
    lab.start("node2")
    lab.wait()
    after = wait_for_equal_logs(nodes)
    assert len(after) == len(before) + 1
    assert after[0][0] == "node2"
    lab.trees_are_equal()


def test_starts_in_one_second_are_all_in_the_log(lab: Lab, nodes: Nodes) -> None:
    """Their numbers differ even if their times do not."""
    before = wait_for_equal_logs(nodes)
    for _ in range(3):
        lab.kill("node3")
        lab.start("node3")
        lab.wait()
    assert len(wait_for_equal_logs(nodes)) == len(before) + 3
    lab.trees_are_equal()


@pytest.mark.lab_has(Capability.HOSTS_FILE)
def test_a_name_that_leads_nowhere_is_refused_with_advice(lab: Lab, nodes: Nodes) -> None:
    end(lab, "node3", [Service.PMXCFS])
    hosts = nodes["node3"].file("/etc/hosts").content
    others = b"".join(line for line in hosts.splitlines(keepends=True) if b"node3" not in line)
    write_hosts = ["sh", "-c", "cat > /etc/hosts"]
    lab.exec("node3", *write_hosts, stdin=others)
    try:
        result = lab.exec("node3", str(Path(PYTHON).with_name("pmxcfs")), "-f")
    finally:
        lab.exec("node3", *write_hosts, stdin=hosts)
    assert result.exit_status == 255
    assert b"add a line with its address and node3 to /etc/hosts" in result.stderr
    lab.start("node3")
    lab.wait()
    lab.trees_are_equal()
