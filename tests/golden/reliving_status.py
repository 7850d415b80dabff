"""The recorded life of a process in the status group, relived by a StatusNode in its place.

Every event that the process saw goes into the node; every message that it sent must be what the
node wants sent next, byte for byte but for the header's time and for the bytes that the reference
leaves to chance. What local clients asked for is taken from the messages it led to.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from pmxcfs import views
from pmxcfs.dfsm.effects import Effect, Multicast
from pmxcfs.dfsm.events import Connected, Delivered, Disconnected
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, decode_base, decode_normal, decode_state
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.kvstore import RecordMetrics
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from pmxcfs.status.entry import LogEntry, decode_entry
from pmxcfs.status.members import ClusterInfo
from pmxcfs.status.messages import KEY_FIELD_BYTES, Subtype, decode_update
from pmxcfs.status.ring import decode_ring
from pmxcfs.status.state import IP_KEY, ClusterStatus
from pmxcfs.status_node import StatusNode
from tests.golden.reliving import SENT_WELL, RecordedEvent, configuration_change


@dataclass(frozen=True)
class StatusLife:
    """What one process saw and sent, in order, and the steps of the recording."""

    me: Member
    events: Sequence[RecordedEvent]

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


class StatusProcess:
    """A status node in the place of a recorded process."""

    def __init__(
        self, life: StatusLife, cluster: ClusterInfo, original: Callable[[bytes], bytes]
    ) -> None:
        """`original` tells what a client wrote from what was logged."""
        self.life = life
        self.original = original
        self.start_s = self.now_s = life.first_entry().time_s
        self.node = StatusNode(ClusterStatus(f"node{life.me.node_id}", ip=life.first_ip()))
        self.node.start_log(life.me.pid, self.start_s)
        self.node.status.learn_nodes(cluster)
        self.to_send: deque[bytes] = deque()
        self.sent: Counter[str] = Counter()
        self.counts: list[int] = []

    def relive(self, until: str | None = None) -> None:
        for event in self.life.events:
            if event["ev"] == "mark":
                if until is not None and event["step"].startswith(until):
                    return
                continue
            self.now_s = int(event["t"])
            match event["ev"]:
                case "join":
                    self.perform(self.node.step(Connected(self.life.me), self.now_s))
                case "finalize":
                    self.perform(self.node.step(Disconnected(), self.now_s))
                    self.to_send.clear()
                case "confchg":
                    self.perform(self.node.step(configuration_change(event), self.now_s))
                case "deliver":
                    sender = Member(NodeId(event["nodeid"]), Pid(event["pid"]))
                    message = Delivered(sender, bytes.fromhex(event["hex"]))
                    self.perform(self.node.step(message, self.now_s))
                case "send" if event["rc"] == SENT_WELL:
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
            text=self.original(entry.message),
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
