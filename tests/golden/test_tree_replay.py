"""The recorded life of a cluster's trees: every change, every synchronisation, every checksum.

The protocol's own state machine is not under test here; the recording says what was delivered when.
"""

import json
import lzma
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.database import Database
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.index import Index, index_of, tree_checksum
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import (
    decode_operation,
    decode_update,
    encode_operation,
    encode_update,
)
from pmxcfs.memdb.sync import catch_up, choose_leader, differing_inodes
from pmxcfs.memdb.tree import Tree

VECTORS = Path(__file__).parent / "vectors"

NORMAL, SYNC_START, STATE, UPDATE, UPDATE_COMPLETE, VERIFY = 0, 1, 2, 3, 4, 6

FIRST_TREE = {1: "01-empty-with-corosync.conf", 3: "10-node3-local-before-join"}
"""The database from which the recording of a node begins; there is none for node 2."""


@pytest.mark.parametrize(("node", "states", "checksums", "commits"), [(1, 13, 15, 3), (3, 7, 1, 4)])
def test_a_node_goes_through_the_recorded_trees(
    node: int, states: int, checksums: int, commits: int, tmp_path: Path
) -> None:
    replay = Replay(node, recorded_tree(FIRST_TREE[node], tmp_path))
    for event in recorded_events(node):
        replay.take(event)
    counted = (replay.states_sent, replay.checksums_compared, replay.commits)
    assert counted == (states, checksums, commits)


def test_node_1_reaches_the_tree_of_the_database_recorded_after_step_8(tmp_path: Path) -> None:
    replay = Replay(1, recorded_tree(FIRST_TREE[1], tmp_path))
    for event in recorded_events(1):
        if event["ev"] == "mark" and event["step"].startswith("09"):
            break
        replay.take(event)
    expected = recorded_tree("08-after-ops-running-with-wal", tmp_path)
    assert list(replay.memdb.tree.entries()) == list(expected.entries())


@pytest.mark.parametrize("node", [1, 2, 3])
def test_every_recorded_payload_decodes_and_encodes_to_itself(node: int) -> None:
    seen = set()
    for event in recorded_events(node):
        if event["ev"] in ("send", "deliver"):
            kind, subtype, payload = parsed(event)
            seen.add(kind)
            match kind:
                case 0:
                    operation = decode_operation(subtype, payload)
                    assert encode_operation(operation) == (subtype, payload)
                case 2:
                    assert Index.decode(payload).encode() == payload
                case 3:
                    assert encode_update(decode_update(payload)) == payload
    assert seen >= {NORMAL, STATE, UPDATE}


class Replay:
    """One node's tree, driven by what was delivered to its processes."""

    def __init__(self, node: int, tree: Tree) -> None:
        self.node = node
        self.memdb = Memdb(tree, now_s=0)
        self.states: dict[Member, Index] = {}
        self.updates: list[Entry] = []
        self.is_synced = True
        self.has_recorded_tree = node == 1  # node 3 changed its tree unrecorded before it joined
        self.states_sent = self.checksums_compared = self.commits = 0

    def take(self, event: dict[str, Any]) -> None:
        match event["ev"]:
            case "send":
                self.compare_sent(event)
            case "deliver":
                self.deliver(event, Member(NodeId(event["nodeid"]), Pid(event["pid"])))

    def compare_sent(self, event: dict[str, Any]) -> None:
        kind, _, payload = parsed(event)
        if kind == STATE and self.has_recorded_tree:
            assert payload == index_of(self.memdb.tree).encode()
            self.states_sent += 1
        elif kind == VERIFY:
            assert payload[8:] == tree_checksum(self.memdb.tree)
            self.checksums_compared += 1

    def deliver(self, event: dict[str, Any], sender: Member) -> None:
        kind, subtype, payload = parsed(event)
        if kind == NORMAL:
            operation = decode_operation(subtype, payload)
            time = struct.unpack_from("<I", bytes.fromhex(event["hex"]), 8)[0]
            self.memdb.apply(operation, sender.node_id, time, int(event["t"]))
        elif kind == SYNC_START:
            self.states, self.updates = {}, []
        elif kind == STATE:
            self.states[sender] = Index.decode(payload)
        elif kind == UPDATE:
            self.updates.append(decode_update(payload))
        elif kind == UPDATE_COMPLETE:
            assert sender == choose_leader(self.states)
            self.finish_sync(self.states[sender], int(event["t"]))

    def finish_sync(self, leader: Index, now_s: int) -> None:
        others = [index for index in self.states.values() if index != leader]
        inodes = [entry.inode for entry in self.updates]
        assert sorted(inodes) == differing_inodes(leader, others)
        if index_of(self.memdb.tree) != leader:
            tree, _ = catch_up(self.memdb.tree, leader, self.updates)
            self.memdb.replace(tree, now_s)
            self.commits += 1
        self.has_recorded_tree = True


def parsed(event: dict[str, Any]) -> tuple[int, int, bytes]:
    """Return type, subtype and payload of a message."""
    data = bytes.fromhex(event["hex"])
    kind, subtype = struct.unpack_from("<HH", data)
    return kind, subtype, data[24 if kind == NORMAL else 32 :]


def recorded_events(node: int) -> list[dict[str, Any]]:
    """Return what happened in the group of the configuration tree, and the marks."""
    with lzma.open(VECTORS / f"cpg/node{node}.jsonl.xz") as lines:
        events = [json.loads(line) for line in lines]
    return [event for event in events if event.get("group") in (None, "pve_dcdb_v1")]


def recorded_tree(name: str, tmp_path: Path) -> Tree:
    with tarfile.open(VECTORS / f"db/{name}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    database = Database.open(tmp_path / name / "config.db", now_s=0)
    tree = database.load()
    database.close()
    return tree
