"""The recorded life of a cluster, relived: what the reference sent is what we would have sent.

Every event that a recorded process saw goes into a Replica; every message that it sent must be
what the Replica wants sent next, byte for byte but for the header's time. The recording gives
the local operations and the moments of verification, for nobody else can know them.
"""

import json
import lzma
import tarfile
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.database import Database
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, decode_base, decode_normal, decode_state
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.index import Index
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import decode_operation, decode_update
from pmxcfs.memdb.operations import Create, Delete, Operation, SetMtime, UnlockRequest, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Event, QuorumChanged, Replica, VerifyDue

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
            change_offline(memdb, life, import_of_corosync_conf())
        process = Process(memdb, life)
        process.relive()
        memdb = process.replica.memdb
        sent += process.sent
    assert sent == SENT[node]


@dataclass(frozen=True)
class Life:
    """What one process saw and sent, in order."""

    me: Member
    events: list[dict[str, Any]]

    def own_messages(self, kind: MessageType) -> Iterator[bytes]:
        """Yield the payloads of what it sent of one type."""
        for event in self.events:
            if event["ev"] == "send":
                header, payload = decode_state(bytes.fromhex(event["hex"]))
                if header.type == kind:
                    yield payload


class Process:
    """A replica in the place of a recorded process."""

    def __init__(self, memdb: Memdb, life: Life) -> None:
        self.life = life
        self.start_s = int(life.events[0]["t"])
        fresh_memdb = Memdb(memdb.tree, self.start_s)  # whose locks all look new
        self.replica = Replica(fresh_memdb, node_name=f"node{life.me.node_id}", standalone=False)
        self.tickets = (Ticket(number) for number in count(1))
        self.waiting: set[Ticket] = set()
        self.to_send: deque[bytes] = deque()
        self.sent: Counter[str] = Counter()

    def relive(self) -> None:
        self.step(Connected(self.life.me), self.start_s)
        self.step(QuorumChanged(True), self.start_s)
        for event in self.life.events:
            now_s = int(event["t"])
            match event["ev"]:
                case "confchg":
                    self.step(configuration_change(event), now_s)
                case "deliver":
                    sender = Member(NodeId(event["nodeid"]), Pid(event["pid"]))
                    self.step(Delivered(sender, bytes.fromhex(event["hex"])), now_s)
                case "send":
                    self.compare(bytes.fromhex(event["hex"]), now_s)
        assert not self.to_send
        assert not self.waiting
        assert self.replica.mode is Mode.SYNCED

    def step(self, event: Event, now_s: int) -> None:
        self.perform(self.replica.step(event, now_s))

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not isinstance(effect, LeaveGroup)
            if isinstance(effect, Multicast):
                self.to_send.append(effect.data)
            elif isinstance(effect, Answer):
                self.waiting.remove(effect.ticket)

    def compare(self, data: bytes, now_s: int) -> None:
        kind = MessageType(decode_base(data).type)
        if not self.to_send:
            self.cause(kind, data, now_s)
        ours = {timeless(message): message for message in self.next_to_send()}
        assert timeless(data) in ours
        self.to_send.remove(ours[timeless(data)])
        self.sent[kind.name] += 1

    def next_to_send(self) -> list[bytes]:
        """Return what may be sent next: one message, or updates, which have no order."""
        updates = [*takewhile(is_update, self.to_send)]
        return updates or [self.to_send[0]]

    def cause(self, kind: MessageType, data: bytes, now_s: int) -> None:
        """Do what the world did to have this message sent."""
        if kind is MessageType.VERIFY_REQUEST:
            self.step(VerifyDue(), now_s)
        else:
            assert kind is MessageType.NORMAL
            header, payload = decode_normal(data)
            self.submit(decode_operation(header.subtype, payload), header.time_s)

    def submit(self, operation: Operation, now_s: int) -> None:
        if isinstance(operation, UnlockRequest):  # the reference sends one and then the mtime of 0
            operation = SetMtime(operation.path, 0)
        ticket = next(self.tickets)
        self.waiting.add(ticket)
        self.perform(self.replica.submit(ticket, operation, now_s))


def timeless(data: bytes) -> bytes:
    """Return a message without its header's time: its sender may have been a bit slow."""
    return data[:8] + data[12:]


def is_update(data: bytes) -> bool:
    return decode_base(data).type == MessageType.UPDATE


def configuration_change(event: dict[str, Any]) -> ConfigurationChange:
    members, left, joined = (
        tuple(Member(NodeId(node_id), Pid(pid)) for node_id, pid, _ in event[key])
        for key in ("members", "left", "joined")
    )
    return ConfigurationChange(members, left, joined)


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
        yield Life(Member(NodeId(node), Pid(pid)), life)


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


def change_offline(memdb: Memdb, life: Life, operations: list[Operation]) -> None:
    """Do what was done before the process joined, at the time that its first index tells."""
    time_s = Index.decode(next(life.own_messages(MessageType.STATE))).mtime
    for operation in operations:
        assert memdb.apply(operation, 0, time_s, time_s).result >= 0


def import_of_corosync_conf() -> list[Operation]:
    return [Create(b"corosync.conf"), Write(b"corosync.conf", 0, COROSYNC_CONF)]


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
