"""The recorded life of a process in the tree's group, relived by a Replica in its place.

Every event that the process saw goes into the Replica; every message that it sent must be what the
Replica wants sent next, byte for byte but for the times of its sender's clock. The recording gives
the local operations and the moments of verification, for nobody else can know them.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered, Disconnected
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, decode_base, decode_normal, decode_state
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.index import Index
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import decode_operation
from pmxcfs.memdb.operations import Create, Operation, SetMtime, UnlockRequest, Write
from pmxcfs.replica import Event, QuorumChanged, Replica, VerifyDue

RecordedEvent = dict[str, Any]

SENT_WELL = 1
"""What corosync answers to who sends, if it takes the message."""


@dataclass(frozen=True)
class Life:
    """What one process saw and sent, in order."""

    me: Member
    events: Sequence[RecordedEvent]

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
        for event in self.life.events:
            now_s = int(event["t"])
            match event["ev"]:
                case "join":
                    self.step(Connected(self.life.me), now_s)
                case "quorum":
                    self.step(QuorumChanged(bool(event["quorate"])), now_s)
                case "finalize":
                    self.step(Disconnected(), now_s)
                    self.to_send.clear()
                case "confchg":
                    self.step(configuration_change(event), now_s)
                case "deliver":
                    sender = Member(NodeId(event["nodeid"]), Pid(event["pid"]))
                    self.step(Delivered(sender, bytes.fromhex(event["hex"])), now_s)
                case "send" if event["rc"] == SENT_WELL:
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
    """Return a message without what its sender took from its clock, which was a bit later."""
    if decode_base(data).type == MessageType.SYNC_START:  # its epoch has the time too
        return data[:8] + data[12:20] + data[24:]
    return data[:8] + data[12:]


def is_update(data: bytes) -> bool:
    return decode_base(data).type == MessageType.UPDATE


def configuration_change(event: RecordedEvent) -> ConfigurationChange:
    members, left, joined = (
        tuple(Member(NodeId(node_id), Pid(pid)) for node_id, pid, _ in event[key])
        for key in ("members", "left", "joined")
    )
    return ConfigurationChange(members, left, joined)


def change_offline(memdb: Memdb, life: Life, operations: list[Operation]) -> None:
    """Do what was done before the process joined, at the time that its first index tells."""
    time_s = Index.decode(next(life.own_messages(MessageType.STATE))).mtime
    for operation in operations:
        assert memdb.apply(operation, 0, time_s, time_s).result >= 0


def import_of_corosync_conf(text: bytes) -> list[Operation]:
    """Return what a daemon does that finds the file on its host and not in its tree."""
    return [Create(b"corosync.conf"), Write(b"corosync.conf", 0, text)]
