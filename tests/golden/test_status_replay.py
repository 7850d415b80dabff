"""The recorded life of the status group, relived: we send what the reference sent, and show it.

Every event that a recorded process saw goes into a StatusNode; every message that it sent must be
what the node wants sent next, byte for byte but for the header's time and for the bytes that the
reference leaves to chance. What local clients asked for is taken from the messages it led to.
"""

import json
import lzma
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from pmxcfs import views
from pmxcfs.dfsm.effects import Effect, Multicast
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, decode_base, decode_normal, decode_state
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.kvstore import RecordMetrics
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from pmxcfs.status.entry import LogEntry, decode_entry
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.messages import KEY_FIELD_BYTES, Subtype, decode_update
from pmxcfs.status.ring import decode_ring
from pmxcfs.status.state import IP_KEY, ClusterStatus
from pmxcfs.status_node import StatusNode

VECTORS = Path(__file__).parent / "vectors"

SENT = {
    1: {"NORMAL": 42, "SYNC_START": 13, "STATE": 13},
    2: {"NORMAL": 14, "SYNC_START": 1, "STATE": 13},
    3: {"NORMAL": 14, "STATE": 8},
}
"""How many messages each node sent, by type; all of them are compared."""

CLUSTER = ClusterInfo(
    "hG", 1, tuple(ClusterNode(NodeId(number), f"node{number}") for number in (1, 2, 3))
)

ORIGINALS = {
    b'quote \\" back\\ tab#009 nl#010 end': b'quote " back\\ tab\t nl\n end',
    b"utf8 \\u00e4\\u20ac end": "utf8 ä€ end".encode(),
    b"L" * 4026: b"L" * 5000,
}
"""What clients wrote that was logged in another form."""

VIEWS = [
    ("01", 1, "02"),
    ("02", 2, "03"),
    ("08-node1", 1, "09"),
    ("08-node2", 2, "09"),
    ("10-node3", 3, "11"),
    ("13-node1", 1, "14"),
    ("13-node2", 2, "14"),
    ("13-node3", 3, "14"),
]
"""Recorded views, their nodes, and the step that had not begun when they were recorded."""

NOT_JSON, JSON = b"back\\ tab", b"back\\\\ tab"
"""The only bytes that differ: the reference's cluster log cannot be read by any parser there."""


@pytest.mark.parametrize("node", [1, 2, 3])
def test_we_tell_what_the_reference_told(node: int) -> None:
    sent: Counter[str] = Counter()
    for life in lives_of(node):
        process = Process(life)
        process.relive()
        sent += process.sent
    assert sent == SENT[node]


@pytest.mark.parametrize(("view", "node", "next_step"), VIEWS)
def test_we_show_what_the_reference_showed(view: str, node: int, next_step: str) -> None:
    shown = json.loads((VECTORS / f"views/{view}.json").read_text())["special"]
    recorded = {name: text.encode() for name, text in shown.items()}
    process = Process(next(lives_of(node)))
    process.relive(until=next_step)
    status = process.node.status

    assert views.members_text(status, is_quorate=True) == recorded[".members"]
    assert views.clusterlog_text(status) == recorded[".clusterlog"].replace(NOT_JSON, JSON)
    metrics = views.rrd_text(status, process.now_s)
    assert sorted(metrics.splitlines()) == sorted(recorded[".rrd"].rstrip(b"\0").splitlines())
    assert status_part(process.version_text()) == status_part(recorded[".version"])


def test_the_recorded_cluster_log_is_json_as_we_show_it() -> None:
    process = Process(next(lives_of(1)))
    process.relive(until="14")
    messages = [
        entry["msg"]
        for entry in json.loads(views.clusterlog_text(process.node.status))["data"]
        if entry["tag"] in ("pveproxy", "tag") and not entry["msg"].startswith("L")
    ]
    assert messages == ["utf8 ä€ end", 'quote " back\\ tab#009 nl#010 end']


@dataclass(frozen=True)
class Life:
    """What one process saw and sent, in order, and the steps of the recording."""

    me: Member
    events: list[dict[str, Any]]

    def own(self, kind: MessageType) -> Iterator[bytes]:
        """Yield what it sent of one type."""
        for event in self.events:
            if event["ev"] == "send" and decode_base(bytes.fromhex(event["hex"])).type == kind:
                yield bytes.fromhex(event["hex"])

    def first_entry(self) -> LogEntry:
        """Return what it logged when it started."""
        _, ring = decode_state(next(self.own(MessageType.STATE)))
        node = f"node{self.me.node_id}".encode()
        return next(
            e for e in decode_ring(ring) if (e.node, e.uid, e.pid) == (node, 1, self.me.pid)
        )

    def first_ip(self) -> str:
        """Return the address that it told first."""
        updates = (decode_update(decode_normal(data)[1]) for data in self.own(MessageType.NORMAL))
        return next(update.value[:-1].decode() for update in updates if update.key == IP_KEY)


class Process:
    """A status node in the place of a recorded process."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.start_s = self.now_s = life.first_entry().time_s
        self.node = StatusNode(ClusterStatus(f"node{life.me.node_id}", ip=life.first_ip()))
        self.node.start_log(life.me.pid, self.start_s)
        self.node.status.learn_nodes(CLUSTER)
        self.to_send: deque[bytes] = deque()
        self.sent: Counter[str] = Counter()
        self.counts: list[int] = []

    def relive(self, until: str | None = None) -> None:
        self.perform(self.node.step(Connected(self.life.me), self.start_s))
        for event in self.life.events:
            if event["ev"] == "mark":
                if until is not None and event["step"].startswith(until):
                    return
                continue
            self.now_s = int(event["t"])
            match event["ev"]:
                case "confchg":
                    self.perform(self.node.step(configuration_change(event), self.now_s))
                case "deliver":
                    sender = Member(NodeId(event["nodeid"]), Pid(event["pid"]))
                    message = Delivered(sender, bytes.fromhex(event["hex"]))
                    self.perform(self.node.step(message, self.now_s))
                case "send":
                    self.compare(bytes.fromhex(event["hex"]))
        assert not self.to_send
        assert self.node.mode is Mode.SYNCED
        assert self.counts == [*range(1, len(self.counts) + 1)]

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, RecordMetrics):
                continue
            assert isinstance(effect, Multicast)
            self.to_send.append(effect.data)

    def compare(self, data: bytes) -> None:
        kind = MessageType(decode_base(data).type)
        if kind is MessageType.NORMAL:
            self.counts.append(decode_normal(data)[0].count)
            if not self.to_send:
                self.ask_for(data)
        ours = {definite(message): message for message in self.next_to_send()}
        assert definite(data) in ours
        self.to_send.remove(ours[definite(data)])
        self.sent[kind.name] += 1

    def next_to_send(self) -> list[bytes]:
        """Return what may be sent next: one message, or the values, which have no order."""
        values = [*takewhile(is_value, self.to_send)]
        return values or [self.to_send[0]]

    def ask_for(self, data: bytes) -> None:
        """Do what the client did to whom this message is due."""
        header, payload = decode_normal(data)
        if header.subtype == Subtype.UPDATE:
            update = decode_update(payload)
            self.perform(self.node.publish(update.key, update.value, header.time_s))
            return
        entry = decode_entry(payload)
        effects = self.node.log(
            priority=entry.priority,
            ident=entry.ident,
            tag=entry.tag,
            text=ORIGINALS.get(entry.message, entry.message),
            pid=entry.pid,
            now_s=entry.time_s,
        )
        self.perform(effects)

    def version_text(self) -> bytes:
        replica = Replica(Memdb(Tree.new(), 0), node_name="", standalone=False)
        process = views.Process(self.life.me.pid, self.start_s)
        return views.version_text(replica, self.node.status, process)


def definite(data: bytes) -> bytes:
    """Return a message without its time and count, and without what the reference does not set."""
    header, payload = data[:8], data[24:]
    if decode_base(data).type == MessageType.STATE:
        return header + data[16:32] + definite_ring(data[32:])
    if decode_base(data).type == MessageType.SYNC_START:  # its epoch has the sender's clock too
        return header + data[16:20] + data[24:]
    if decode_base(data).subtype == Subtype.UPDATE:
        update = decode_update(payload)
        return header + update.key.ljust(KEY_FIELD_BYTES, b"\0") + update.value
    return header + payload[:-4] + bytes(4)


def definite_ring(ring: bytes) -> bytes:
    """Return a ring with zeros in the four bytes at the end of each entry and between entries."""
    data = bytearray(ring)
    place = int.from_bytes(ring[4:8], "little")
    while place:
        previous, following = (
            int.from_bytes(ring[at : at + 4], "little") for at in (place, place + 4)
        )
        lengths = [
            *ring[place + 37 : place + 40],
            int.from_bytes(ring[place + 40 : place + 44], "little"),
        ]
        end = place + 44 + sum(lengths)
        data[end:following] = bytes(following - end)
        place = previous
    return bytes(data)


def is_value(data: bytes) -> bool:
    base = decode_base(data)
    if base.type != MessageType.NORMAL or base.subtype != Subtype.UPDATE:
        return False
    return decode_update(data[24:]).key != IP_KEY


def status_part(text: bytes) -> list[bytes]:
    """Return start time, clinfo, and what follows the observed files."""
    start, clinfo = text.splitlines()[1:3]
    return [start, clinfo, text.partition(b'"kvstore"')[2]]


def configuration_change(event: dict[str, Any]) -> ConfigurationChange:
    members, left, joined = (
        tuple(Member(NodeId(node_id), Pid(pid)) for node_id, pid, _ in event[key])
        for key in ("members", "left", "joined")
    )
    return ConfigurationChange(members, left, joined)


def lives_of(node: int) -> Iterator[Life]:
    """Yield the node's processes, each with what happened in the status group."""
    with lzma.open(VECTORS / f"cpg/node{node}.jsonl.xz") as lines:
        events = [json.loads(line) for line in lines]
    lives: list[list[dict[str, Any]]] = []
    for event in events:
        if event["ev"] == "join" and event["group_len"] == len("pve_kvstore_v1") + 1:
            lives.append([])
        elif lives and (event["ev"] == "mark" or event.get("group") == "pve_kvstore_v1"):
            lives[-1].append(event)
    for life in lives:
        changes = (event for event in life if event["ev"] == "confchg")
        (pid,) = {pid for node_id, pid, _ in next(changes)["members"] if node_id == node}
        yield Life(Member(NodeId(node), Pid(pid)), life)
