"""The texts of the virtual files, byte for byte, and the status line."""

import json

import pytest

from pmxcfs import views
from pmxcfs.dfsm.events import ConfigurationChange, Connected
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import ClusterMapRead, QuorumChanged, Replica
from pmxcfs.status.members import ClusterInfo, ClusterNode

NOW_S = 1_700_000_000
PROCESS = views.Process(Pid(4242), 1_705_029_824)
ME = Member(NodeId(1), Pid(4242))
CLUSTER = ClusterInfo("clu", 7, (ClusterNode(NodeId(1), "node1"), ClusterNode(NodeId(2), "node2")))


@pytest.fixture
def replica() -> Replica:
    return Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)


def make_guest(replica: Replica, path: bytes) -> None:
    parts = path.split(b"/")
    for depth in range(1, len(parts)):
        replica.memdb.apply(Mkdir(b"/".join(parts[:depth])), 0, NOW_S, NOW_S)
    replica.memdb.apply(Create(path), 0, NOW_S, NOW_S)


def test_members_without_a_cluster_names_only_the_node(replica: Replica) -> None:
    assert views.members_text(replica) == b'{\n"nodename": "node1",\n"version": 0\n}\n'


def test_members_lists_every_configured_node_and_who_is_online(replica: Replica) -> None:
    for event in (
        ClusterMapRead(CLUSTER),
        Connected(ME),
        ConfigurationChange((ME,), joined=(ME,)),
        QuorumChanged(True),
    ):
        replica.step(event, NOW_S)
    assert views.members_text(replica) == (
        b'{\n"nodename": "node1",\n"version": 2,\n'
        b'"cluster": { "name": "clu", "version": 7, "nodes": 2, "quorate": 1 },\n'
        b'"nodelist": {\n'
        b'  "node1": { "id": 1, "online": 1},\n'
        b'  "node2": { "id": 2, "online": 0}\n'
        b"  }\n}\n"
    )


def test_an_empty_vmlist_has_no_ids(replica: Replica) -> None:
    assert views.vmlist_text(replica) == b'{\n"version": 0\n\n}\n'


def test_vmlist_lists_guests_with_node_kind_and_version(replica: Replica) -> None:
    make_guest(replica, b"nodes/node1/qemu-server/100.conf")
    make_guest(replica, b"nodes/node2/lxc/101.conf")
    assert views.vmlist_text(replica) == (
        b'{\n"version": 2,\n"ids": {\n'
        b'"100": { "node": "node1", "type": "qemu", "version": 1 },\n'
        b'"101": { "node": "node2", "type": "lxc", "version": 2 }}\n\n}\n'
    )


def test_version_counts_observed_files_and_names_the_start_time(replica: Replica) -> None:
    replica.memdb.apply(Create(b"user.cfg"), 0, NOW_S, NOW_S)
    text = views.version_text(replica, PROCESS)
    assert text.startswith(
        b'{\n"starttime": 1705029824,\n"clinfo": 0,\n"vmlist": 0,\n"corosync.conf": 1,\n'
    )
    assert text.endswith(b'"mapping/usb.cfg": 1,\n"kvstore": {\n"node1": {\n}\n}\n}\n')
    assert json.loads(text)["user.cfg"] == 2


def test_the_status_line_says_where_the_node_stands(replica: Replica) -> None:
    status = json.loads(views.status_line(replica, PROCESS))
    assert status["mode"] == "cluster"
    assert status["sync"] == "start"
    assert status["quorate"] is False
    assert status["leader"] is None
    for event in (ClusterMapRead(CLUSTER), Connected(ME), ConfigurationChange((ME,))):
        replica.step(event, NOW_S)
    status = json.loads(views.status_line(replica, PROCESS))
    assert status["sync"] == "synced"
    assert status["leader"] == 1
    assert status["members"] == [{"node_id": 1, "pid": 4242, "name": "node1"}]
    assert status["tree_version"] == 1
    assert status["tree_checksum"] == (
        "797583cf6bdd2a84ceef9865f30212d449b7094fbf1efdff7954d447ad5677a1"
    )
