"""The texts of the virtual files, byte for byte, and the status line."""

import json

import pytest

from pmxcfs import views
from pmxcfs.dfsm.events import ConfigurationChange, Connected
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.messages import Update
from pmxcfs.status.state import ClusterStatus

NOW_S = 1_700_000_000
PROCESS = views.Process(Pid(4242), 1_705_029_824)
ME = Member(NodeId(1), Pid(4242))
CLUSTER = ClusterInfo("clu", 7, (ClusterNode(NodeId(1), "node1"), ClusterNode(NodeId(2), "node2")))


@pytest.fixture
def replica() -> Replica:
    return Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)


@pytest.fixture
def status() -> ClusterStatus:
    return ClusterStatus("node1", ip="10.0.0.1")


def add_log_entry(status: ClusterStatus, text: bytes, tag: bytes = b"pvedaemon") -> None:
    status.log.add(priority=6, ident=b"root@pam", tag=tag, text=text, pid=777, now_s=1_705_029_824)


def make_guest(replica: Replica, path: bytes) -> None:
    parts = path.split(b"/")
    for depth in range(1, len(parts)):
        replica.memdb.apply(Mkdir(b"/".join(parts[:depth])), 0, NOW_S, NOW_S)
    replica.memdb.apply(Create(path), 0, NOW_S, NOW_S)


def test_members_without_a_cluster_names_only_the_node(status: ClusterStatus) -> None:
    text = views.members_text(status, is_quorate=True)
    assert text == b'{\n"nodename": "node1",\n"version": 1\n}\n'


def test_members_lists_every_configured_node_and_who_is_online(status: ClusterStatus) -> None:
    status.learn_nodes(CLUSTER)
    status.learn_online({ME.node_id})
    assert views.members_text(status, is_quorate=True) == (
        b'{\n"nodename": "node1",\n"version": 3,\n'
        b'"cluster": { "name": "clu", "version": 7, "nodes": 2, "quorate": 1 },\n'
        b'"nodelist": {\n'
        b'  "node1": { "id": 1, "online": 1, "ip": "10.0.0.1"},\n'
        b'  "node2": { "id": 2, "online": 0}\n'
        b"  }\n}\n"
    )


def test_version_lists_the_values_of_all_nodes_that_ever_had_one(status: ClusterStatus) -> None:
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
    status.learn_nodes(CLUSTER)
    for value in (b"1", b"2"):
        status.publish(b"kv/foo", value, NOW_S)
    status.publish(b"gone", b"1", NOW_S)
    status.publish(b"gone", b"", NOW_S)
    status.receive(NodeId(2), Update(b'odd"\\\x07', b"1"), NOW_S)
    text = views.version_text(replica, status, PROCESS)
    assert text.endswith(
        b'"kvstore": {\n"node1": {\n"kv/foo": 1}\n,\n"node2": {\n"odd\\"\\\\\\u0007": 0}\n}\n}\n'
    )
    assert json.loads(text)["kvstore"]["node2"] == {'odd"\\\x07': 0}


def test_an_empty_cluster_log_is_an_empty_list(status: ClusterStatus) -> None:
    assert views.clusterlog_text(status) == b'{\n"data": [\n]\n}\n'


def test_the_cluster_log_shows_the_newest_entries_first(status: ClusterStatus) -> None:
    for text in (b"first", b"second"):
        add_log_entry(status, text)
    line = (
        '{"uid": %d, "time": 1705029824, "pri": 6, "tag": "pvedaemon", "pid": 777, '
        '"node": "node1", "user": "root@pam", "msg": "%s"}'
    )
    lines = ",\n".join([line % (2, "second"), line % (1, "first")])
    assert views.clusterlog_text(status) == f'{{\n"data": [\n{lines}\n]\n}}\n'.encode()


def test_the_log_file_shows_50_entries_and_a_client_may_ask_for_a_users(
    status: ClusterStatus,
) -> None:
    for number in range(60):
        add_log_entry(status, b"%d" % number)
    shown = json.loads(views.clusterlog_text(status))["data"]
    assert [entry["msg"] for entry in shown] == [str(number) for number in range(59, 9, -1)]
    assert len(json.loads(views.clusterlog_text(status, 3, b"root@pam"))["data"]) == 3
    assert json.loads(views.clusterlog_text(status, 3, b"somebody"))["data"] == []


@pytest.mark.parametrize(
    ("logged", "read"),
    [
        ('quote " end', 'quote " end'),
        ("back\\slash C:\\new \\x", "back\\slash C:\\new \\x"),
        ('both \\" end\\', 'both \\" end\\'),
        ("utf8 ä€ end", "utf8 ä€ end"),
        ("a literal \\ud800 is not an escape", "a literal \\ud800 is not an escape"),
        ("tab\t nl\n", "tab#009 nl#010"),
        ("beyond \U0001f600 end", "beyond  end"),
    ],
)
def test_the_cluster_log_is_json_whatever_is_logged(
    status: ClusterStatus, logged: str, read: str
) -> None:
    add_log_entry(status, logged.encode(), tag=b'tag"\\\xff\n')
    (entry,) = json.loads(views.clusterlog_text(status))["data"]
    assert entry["msg"] == read
    assert entry["tag"] == 'tag"\\\ufffd\n'


def test_metrics_are_shown_as_they_came(status: ClusterStatus) -> None:
    assert views.rrd_text(status, NOW_S) == b""
    status.publish(b"rrd/pve2-vm/100", b"1:2:U\0", NOW_S)
    assert views.rrd_text(status, NOW_S + 1) == b"", "the last text is good for two seconds"
    assert views.rrd_text(status, NOW_S + 2) == b"pve2-vm/100:1:2:U\n"


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


@pytest.mark.parametrize(
    "operation",
    [
        Create(b"nodes/node1/qemu-server/101.conf"),
        Write(b"nodes/node1/qemu-server/100.conf", 0, b"memory: 1"),
        Delete(b"nodes/node1/qemu-server/100.conf"),
        Rename(b"nodes/node1/qemu-server/100.conf", b"nodes/node1/qemu-server/200.conf"),
    ],
)
def test_vmlist_is_of_now_after_each_change_of_the_list(
    replica: Replica, operation: Operation
) -> None:
    make_guest(replica, b"nodes/node1/qemu-server/100.conf")
    before = views.vmlist_text(replica)
    assert replica.memdb.apply(operation, 0, NOW_S, NOW_S).result >= 0
    assert views.vmlist_text(replica) != before


def test_vmlist_is_of_now_after_a_tree_was_replaced_or_a_change_taken_back(
    replica: Replica,
) -> None:
    make_guest(replica, b"nodes/node1/qemu-server/100.conf")
    guest = Delete(b"nodes/node1/qemu-server/100.conf")
    outcome = replica.memdb.apply(guest, 0, NOW_S, NOW_S)
    assert b'"100"' not in views.vmlist_text(replica)
    replica.memdb.revert(outcome.changes, NOW_S)
    assert b'"100"' in views.vmlist_text(replica)
    replica.memdb.replace(Tree.new(), NOW_S)
    assert b'"100"' not in views.vmlist_text(replica)


def test_version_counts_observed_files_and_names_the_start_time(
    replica: Replica, status: ClusterStatus
) -> None:
    replica.memdb.apply(Create(b"user.cfg"), 0, NOW_S, NOW_S)
    text = views.version_text(replica, status, PROCESS)
    assert text.startswith(
        b'{\n"starttime": 1705029824,\n"clinfo": 1,\n"vmlist": 0,\n"corosync.conf": 1,\n'
    )
    assert text.endswith(b'"mapping/usb.cfg": 1,\n"kvstore": {\n"node1": {\n}\n}\n}\n')
    assert json.loads(text)["user.cfg"] == 2


def test_the_status_line_says_where_the_node_stands(
    replica: Replica, status: ClusterStatus
) -> None:
    line = json.loads(views.status_line(replica, status, PROCESS))
    assert line["mode"] == "cluster"
    assert line["sync"] == "start"
    assert line["quorate"] is False
    assert line["leader"] is None
    status.learn_nodes(CLUSTER)
    for event in (Connected(ME), ConfigurationChange((ME,))):
        replica.step(event, NOW_S)
    line = json.loads(views.status_line(replica, status, PROCESS))
    assert line["sync"] == "synced"
    assert line["leader"] == 1
    assert line["members"] == [{"node_id": 1, "pid": 4242, "name": "node1"}]
    assert line["tree_version"] == 1
    assert line["tree_checksum"] == (
        "797583cf6bdd2a84ceef9865f30212d449b7094fbf1efdff7954d447ad5677a1"
    )
