"""A folder of recorded traffic: what each process of the reference heard and sent, and its trees.

For each life of a daemon it has NODE-NUMBER.jsonl (what `tests/e2e/traffic_recorder.c` wrote),
NODE-NUMBER-begin.db, unless it began with nothing, and NODE-NUMBER-end.db: its database before it
was started and after it had ended. `corosync.conf` is the text that all hosts had.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pmxcfs.database import Database
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.status.members import ClusterInfo, ClusterNode
from tests.golden.reliving import (
    Life,
    Process,
    RecordedEvent,
    change_offline,
    import_of_corosync_conf,
)
from tests.golden.reliving_status import StatusLife, StatusProcess

TREE_GROUP = "pve_dcdb_v1"
STATUS_GROUP = "pve_kvstore_v1"


@dataclass(frozen=True)
class Recording:
    """One life of one daemon: who it was, all that it recorded, and its trees."""

    name: str
    me: Member
    events: list[RecordedEvent]
    begin: Tree
    end: Tree

    def of(self, group: str) -> list[RecordedEvent]:
        """Return what concerns one group until it left for good, and what the quorum was."""
        mine = [event for event in self.events if event.get("group") in (None, group)]
        last = max(place for place, event in enumerate(mine) if event["ev"] in ("join", "leave"))
        return mine[:last] if mine[last]["ev"] == "leave" else mine


def recordings_in(folder: Path) -> Iterator[Recording]:
    """Yield the lives in a folder, node by node, in order."""
    for path in sorted(folder.glob("node*-*.jsonl")):
        events = [json.loads(line) for line in path.read_text().splitlines()]
        node_id = NodeId(int(path.name.removeprefix("node").partition("-")[0]))
        members = next(event["members"] for event in events if event["ev"] == "confchg")
        (pid,) = {pid for node, pid, _ in members if node == node_id}
        begin, end = (_tree(path.with_name(f"{path.stem}-{word}.db")) for word in ("begin", "end"))
        yield Recording(path.stem, Member(node_id, Pid(pid)), events, begin, end)


def relive(recording: Recording, corosync_conf: bytes) -> Mapping[str, int]:
    """Let a Replica have the life of a recorded process; return how often it sent what.

    Raises:
        AssertionError: it would have sent something else, or ended with another tree.
    """
    life = Life(recording.me, recording.of(TREE_GROUP))
    memdb = Memdb(recording.begin, now_s=0)
    if memdb.tree.find(b"corosync.conf") is None:
        change_offline(memdb, life, import_of_corosync_conf(corosync_conf))
    process = Process(memdb, life)
    process.relive()
    ours, theirs = (
        {entry.inode: entry for entry in tree.entries()}
        for tree in (process.replica.memdb.tree, recording.end)
    )
    assert ours == theirs, recording.name
    return Counter(process.sent)


def relive_status(recording: Recording, cluster: ClusterInfo) -> Mapping[str, int]:
    """Let a StatusNode have the life of a recorded process; return how often it sent what.

    Raises:
        AssertionError: it would have sent something else.
    """
    life = StatusLife(recording.me, recording.of(STATUS_GROUP))
    process = StatusProcess(life, cluster, _with_plain_quotes)
    process.relive()
    return Counter(process.sent)


def _with_plain_quotes(message: bytes) -> bytes:
    return message.replace(b'\\"', b'"')


def cluster_in(corosync_conf: bytes) -> ClusterInfo:
    """Return what the daemons knew of the cluster of three."""
    name, version = (
        re.findall(rb"^\s*%s: (\S+)" % key, corosync_conf, re.MULTILINE)[0].decode()
        for key in (b"cluster_name", b"config_version")
    )
    nodes = tuple(ClusterNode(NodeId(number), f"node{number}") for number in (1, 2, 3))
    return ClusterInfo(name, int(version), nodes)


def _tree(path: Path) -> Tree:
    if not path.exists():
        return Tree.new()
    database = Database.open(path, now_s=0)
    tree = database.load()
    database.close()
    return tree
