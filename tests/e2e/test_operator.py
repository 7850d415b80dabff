"""What pmxcfs-ctl tells an operator while things are broken: the right cause, and at once.

Each fault is real: a cut network, a stopped or killed corosync, a stopped daemon, a full disk.
"""

import json
import re
import time
from functools import partial
from typing import Any

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from tests.e2e.mounts import Nodes, run, write
from tests.e2e.services import stopped

from .where import PYTHON

WITHIN_S = 30.0
ANSWER_S_MAX = 30.0
"""Corosync gets some seconds of this at the most, Python's start on a busy machine the rest."""

CTL = f"{PYTHON} -m pmxcfs.tools.ctl"
STATE = "/var/lib/pve-cluster"
MOUNTED = "/etc/pve"
ENDS = ("done", "gave_up", "failed")


def ctl(node: Host, arguments: str, user: str = "root") -> tuple[int, str]:
    """Ask on a node; return status and output. The test fails if that takes long."""
    began_s = time.monotonic()
    prefix = "" if user == "root" else f"setpriv --reuid={user} --regid={user} --clear-groups "
    result = node.run(f"{prefix}{CTL} {arguments}")
    assert time.monotonic() - began_s < ANSWER_S_MAX
    return result.rc, result.stdout


def explained(node: Host) -> dict[str, dict[str, Any]]:
    """Return the causes that a node names, by their codes."""
    _, text = ctl(node, "explain --json")
    return {cause["code"]: cause for cause in json.loads(text)["causes"]}


def wait_for_causes(node: Host, *codes: str) -> dict[str, dict[str, Any]]:
    """Return the causes once they are these and no others."""

    def check() -> None:
        assert set(explained(node)) == set(codes)

    eventually(check, within_s=WITHIN_S)
    return explained(node)


def test_a_cluster_that_is_well_says_so(nodes: Nodes) -> None:
    def check() -> None:
        for node in nodes.values():
            assert ctl(node, "status")[0] == 0
            assert ctl(node, "explain")[1].splitlines()[0].endswith(" is writable.")

    eventually(check, within_s=WITHIN_S)


def metrics_of(node: Host) -> dict[str, float]:
    """Return the samples that a node tells Prometheus, by name with labels."""
    status, text = ctl(node, "metrics")
    assert status == 0
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_tell_of_the_cluster_and_of_all_groups(nodes: Nodes) -> None:
    run(nodes["node1"], "echo measured > /etc/pve/measured")
    for name, node in nodes.items():
        now = metrics_of(node)
        assert now['pmxcfs_nodes{state="online"}'] == now["pmxcfs_members"] == 3
        assert now["pmxcfs_standalone"] == 0
        for group in ("tree", "status"):
            assert now[f'pmxcfs_synced{{group="{group}"}}'] == 1
            assert now[f'pmxcfs_group_messages_sent_total{{group="{group}"}}'] > 0
            assert now[f'pmxcfs_group_messages_delivered_total{{group="{group}"}}'] > 3
        assert now["pmxcfs_applied_bytes_total"] >= len("measured\n"), name


def test_whoever_reads_metrics_has_the_members_asked_whether_they_answer(nodes: Nodes) -> None:
    def has_asked() -> None:
        now = metrics_of(nodes["node1"])
        assert now['pmxcfs_group_messages_delivered_total{group="durable"}'] > 2
        assert now["pmxcfs_silent_members"] == 0

    eventually(has_asked, within_s=WITHIN_S)


def test_a_partition_names_who_is_missing_on_both_sides(lab: Lab, nodes: Nodes) -> None:
    lab.partition("1,2", "3")
    cause = wait_for_causes(nodes["node3"], "no-quorum")["no-quorum"]
    assert cause["sentence"] == "no quorum: this node sees 1 of 3 votes and needs 2"
    assert "1 more vote of node1 and node2" in cause["details"][-1]
    status, text = ctl(nodes["node3"], "status")
    assert status == 1
    assert "NOT TAKEN: no quorum" in text
    status, text = ctl(nodes["node1"], "explain")
    assert status == 1
    assert "node1 is writable." in text
    assert "not all nodes take part: node3" in text
    assert "one more lost vote" in text


def test_a_hanging_corosync_is_told_before_the_daemon_has_noticed(lab: Lab, nodes: Nodes) -> None:
    with stopped(lab, "node2", Service.COROSYNC):
        [cause] = explained(nodes["node2"]).values()
        assert cause["code"] == "corosync-hangs"
        assert any(command.startswith("kill -CONT") for command in cause["commands"])
        assert "DOES NOT ANSWER" in ctl(nodes["node2"], "status")[1]


def test_a_dead_corosync_is_told_with_the_way_to_start_it(lab: Lab, nodes: Nodes) -> None:
    lab.kill("node2", [Service.COROSYNC])
    [cause] = explained(nodes["node2"]).values()
    assert cause["code"] == "corosync-dead"
    assert "systemctl start corosync" in cause["commands"]
    assert "corosync  does not run" in ctl(nodes["node2"], "status")[1]


def test_a_hanging_peer_is_named_by_the_others_and_by_itself(lab: Lab, nodes: Nodes) -> None:
    with stopped(lab, "node3", Service.PMXCFS):
        lab.stop("node2", [Service.PMXCFS])
        cause = wait_for_causes(nodes["node1"], "not-synced")["not-synced"]
        assert "waits for node3 (id 3, pid" in cause["details"][0]
        assert "ssh node3 pmxcfs-ctl status" in cause["commands"]
        status, text = ctl(nodes["node3"], "status")
        assert status == 2
        assert "pmxcfs runs, but does not answer" in text
        assert "somebody has stopped it (SIGSTOP)" in text
        status, text = ctl(nodes["node2"], "status")
        assert status == 2
        assert "pmxcfs does not run on this node" in text


def test_a_peer_that_hangs_while_all_are_in_sync_is_named_at_once(lab: Lab, nodes: Nodes) -> None:
    def is_named(asked: str) -> None:
        status, text = ctl(nodes[asked], "status")
        assert status == 1
        assert re.search(r"node3 .* its pmxcfs does not answer: it hangs", text)

    assert explained(nodes["node1"]) == {}
    with stopped(lab, "node3", Service.PMXCFS):
        for asked in ("node1", "node2"):
            # Who asks twice within a second is told what was found out for the first time.
            eventually(partial(is_named, asked), within_s=3)
            assert "ssh node3 pmxcfs-ctl status" in ctl(nodes[asked], "explain")[1]

        def is_counted() -> None:
            assert metrics_of(nodes["node1"])["pmxcfs_silent_members"] == 1

        eventually(is_counted, within_s=WITHIN_S)
    write(nodes["node3"], "awake", "again")

    def is_well() -> None:
        assert ctl(nodes["node1"], "status")[0] == 0
        assert metrics_of(nodes["node1"])["pmxcfs_silent_members"] == 0

    eventually(is_well, within_s=WITHIN_S)


def test_who_waits_in_fsync_is_shown_with_whom_they_wait_for(lab: Lab, nodes: Nodes) -> None:
    with stopped(lab, "node2", Service.PMXCFS), stopped(lab, "node3", Service.PMXCFS):
        waiter = f"import os; os.fsync(os.open('{MOUNTED}/synced', os.O_CREAT | os.O_WRONLY))"
        run(nodes["node1"], f'{PYTHON} -c "{waiter}" >/tmp/waiter 2>&1 & true')

        def is_shown() -> None:
            _, text = ctl(nodes["node1"], "status --json")
            waits = {wait["who"]: wait for wait in json.loads(text)["status"]["waits"]}
            assert waits["fsync"]["callers"] == 1
            assert waits["fsync"]["waits_for"] == ["node2 (id 2)", "node3 (id 3)"]

        eventually(is_shown, within_s=9)

        def is_measured() -> None:  # metrics are made once a second
            now = metrics_of(nodes["node1"])
            assert now['pmxcfs_queue_length{queue="fsync"}'] == 1
            assert now['pmxcfs_fsync_promise{disks="majority"}'] == 1

        eventually(is_measured, within_s=3)

    def is_counted() -> None:
        now = metrics_of(nodes["node1"])
        assert sum(now[f'pmxcfs_fsync_waits_total{{result="{how}"}}'] for how in ENDS) == 1

    eventually(is_counted, within_s=WITHIN_S)


@pytest.mark.thorough
def test_a_full_disk_is_told_and_so_is_its_end(lab: Lab, nodes: Nodes) -> None:
    victim = nodes["node3"]
    lab.stop("node3", [Service.PMXCFS])
    run(victim, f"cp -a {STATE} /tmp/state && mount -t tmpfs -o size=8m small {STATE}")
    try:
        run(victim, f"cp -a /tmp/state/. {STATE}")
        lab.start("node3", [Service.PMXCFS])
        lab.wait()
        victim.run(f"dd if=/dev/zero of={STATE}/filler bs=4k")
        run(nodes["node1"], "head -c 500000 /dev/zero > /etc/pve/large")
        [cause] = wait_for_causes(victim, "database-waits").values()
        assert "full" in cause["details"][0]
        assert f"df -h {STATE}/config.db" in cause["commands"]
        [cause] = wait_for_causes(victim, "database-refuses").values()
        assert "no restart needed" in cause["details"][-1]
        run(victim, f"rm {STATE}/filler")
        wait_for_causes(victim)
        lab.wait()
    finally:
        lab.stop("node3", [Service.PMXCFS])
        run(victim, f"umount {STATE}")


def test_watchers_see_other_nodes_changes_and_www_data_sees_nothing_private(
    nodes: Nodes,
) -> None:
    watcher = nodes["node1"]
    for user in ("root", "www-data"):
        prefix = f"setpriv --reuid={user} --regid={user} --clear-groups"
        run(watcher, f"timeout 20 {prefix} {CTL} watch --json >/tmp/{user} 2>&1 & true")

    def seen_by(user: str) -> list[dict[str, Any]]:
        lines = run(watcher, f"cat /tmp/{user}").splitlines()
        return [json.loads(line) for line in lines]

    def both_watch() -> None:
        assert all(seen_by(user) == [{"watching": ""}] for user in ("root", "www-data"))

    eventually(both_watch, within_s=WITHIN_S)
    run(nodes["node2"], "mkdir -p /etc/pve/priv && printf x >/etc/pve/priv/secret")
    write(nodes["node2"], "public", "seen")

    def both_have_seen() -> None:
        for user in ("root", "www-data"):
            last = seen_by(user)[-1]["change"]
            assert (last["path"], last["size"], last["node"]) == ("public", 4, "node2")

    eventually(both_have_seen, within_s=WITHIN_S)
    assert any(each["change"]["path"] == "priv/secret" for each in seen_by("root")[1:])
    assert "priv" not in run(watcher, "cat /tmp/www-data")
    assert ctl(watcher, "watch priv", user="www-data")[0] == 1
    assert ctl(watcher, "debug on", user="www-data")[0] == 1
    assert ctl(watcher, "status", user="www-data")[0] == 0
