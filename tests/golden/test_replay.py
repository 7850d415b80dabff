"""The recorded life of a cluster, relived: what the reference sent is what we would have sent.

The starting trees are those of the recorded databases, or empty; see `reliving`.
"""

import json
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.corosync.group import DCDB_GROUP, KVSTORE_GROUP
from pmxcfs.database import Database
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import decode_update
from pmxcfs.memdb.operations import Create, Delete, Operation, Write
from pmxcfs.memdb.tree import Tree
from tests.golden.reliving import Life, Process, change_offline, import_of_corosync_conf

VECTORS = Path(__file__).parent / "vectors"
COROSYNC_CONF = (VECTORS / "corosync.conf").read_bytes()

SENT = {
    1: {
        "NORMAL": 126,
        "SYNC_START": 13,
        "STATE": 13,
        "UPDATE": 65,
        "UPDATE_COMPLETE": 10,
        "VERIFY_REQUEST": 16,
        "VERIFY": 15,
    },
    2: {"NORMAL": 18, "SYNC_START": 1, "STATE": 13, "UPDATE": 7, "UPDATE_COMPLETE": 4},
    3: {"NORMAL": 4, "STATE": 8, "VERIFY_REQUEST": 1, "VERIFY": 1},
}
"""How many messages each node sent, by type; all of them are compared."""


@pytest.mark.parametrize("node", [1, 2, 3])
def test_we_send_what_the_reference_sent(node: int, tmp_path: Path) -> None:
    sent: Counter[str] = Counter()
    memdb = first_memdb(node, tmp_path)
    for number, life in enumerate(lives_of(node)):
        if (node, number) == (2, 2):  # step 19
            change_offline(memdb, life, leaders_changes(life))
        elif node != 1 and number == 0:
            change_offline(memdb, life, import_of_corosync_conf(COROSYNC_CONF))
        process = Process(memdb, life)
        process.relive()
        memdb = process.replica.memdb
        sent += process.sent
    assert sent == SENT[node]


@pytest.mark.parametrize("node", [1, 2, 3])
def test_the_groups_have_the_names_under_which_the_reference_joined(node: int) -> None:
    """The last NUL is part of a name: without it, it is another group's."""
    with lzma.open(VECTORS / f"cpg/node{node}.jsonl.xz") as lines:
        joins = [event for event in map(json.loads, lines) if event["ev"] == "join"]
    names = {bytes.fromhex(event["group_hex"]): event["group_len"] for event in joins}
    assert names == {DCDB_GROUP: 12, KVSTORE_GROUP: 15}


def lives_of(node: int) -> Iterator[Life]:
    """Yield the node's processes, each with what happened in the configuration tree's group."""
    with lzma.open(VECTORS / f"cpg/node{node}.jsonl.xz") as lines:
        events = [json.loads(line) for line in lines]
    lives: list[list[dict[str, Any]]] = []
    for event in events:
        if event["ev"] == "join" and event["group_len"] == len("pve_dcdb_v1") + 1:
            lives.append([])
        elif event.get("group") == "pve_dcdb_v1":
            lives[-1].append(event)
    for life in lives:
        (pid,) = {pid for node_id, pid, _ in life[0]["members"] if node_id == node}
        begin = life[0]["t"]
        there = [{"t": begin, "ev": "join"}, {"t": begin, "ev": "quorum", "quorate": 1}]
        yield Life(Member(NodeId(node), Pid(pid)), [*there, *life])


def first_memdb(node: int, tmp_path: Path) -> Memdb:
    """Return the tree with which the node's first recorded process began, imports aside."""
    names = {1: "01-empty-with-corosync.conf", 3: "10-node3-local-before-join"}
    if node not in names:
        return Memdb(Tree.new(), now_s=0)
    with tarfile.open(VECTORS / f"db/{names[node]}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    database = Database.open(tmp_path / names[node] / "config.db", now_s=0)
    tree = database.load()
    database.close()
    return Memdb(tree, now_s=0)


def leaders_changes(life: Life) -> list[Operation]:
    """Return what step 19 did offline; the contents are in the updates that followed."""
    updates = [decode_update(payload) for payload in life.own_messages(MessageType.UPDATE)]
    content = {entry.name: entry.data for entry in updates}
    return [
        Create(b"leader2"),
        Write(b"leader2", 0, content[b"leader2"]),
        Delete(b"file13"),
        Write(b"file14", 0, b"", truncate=True),
        Write(b"file14", 0, content[b"file14"]),
    ]
