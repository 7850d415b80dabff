"""Status nodes that talk to each other through a group in memory."""

from collections import deque

import pytest

from pmxcfs import views
from pmxcfs.dfsm.effects import Effect, LeaveGroup, Multicast
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
)
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, NormalHeader, decode_base
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.kvstore import RecordMetrics
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_driver import StatusDriver
from pmxcfs.status_node import StatusNode
from pmxcfs.waits.ghosts import SILENCE_S_MAX
from pmxcfs.waits.vigil import RingSeen, TimePassed

NOW_S = 1_700_000_000
ONE, TWO, THREE = (Member(NodeId(number), Pid(100 + number)) for number in (1, 2, 3))
CLUSTER = ClusterInfo(
    "clu", 1, tuple(ClusterNode(NodeId(number), f"node{number}") for number in (1, 2, 3))
)


class GroupInMemory:
    """Delivers each message to all members, in order; ``lost`` is what was sent by others."""

    def __init__(self) -> None:
        self.nodes: dict[Member, StatusNode] = {}
        self.messages: deque[tuple[Member, bytes]] = deque()
        self.sent: list[bytes] = []
        self.recorded: list[tuple[int, bytes]] = []

    def join(self, member: Member) -> StatusNode:
        number = member.node_id
        node = StatusNode(ClusterStatus(f"node{number}", ip=f"10.0.0.{number}"))
        node.start_log(member.pid, NOW_S + number)
        node.status.learn_nodes(CLUSTER)
        self.nodes[member] = node
        self.perform(member, node.step(Connected(member), NOW_S))
        self.announce(joined=(member,))
        return node

    def announce(self, joined: tuple[Member, ...] = ()) -> None:
        self.tell(ConfigurationChange(tuple(sorted(self.nodes)), joined=joined))

    def tell(self, event: GroupEvent) -> None:
        for member, node in list(self.nodes.items()):
            self.perform(member, node.step(event, NOW_S))

    def perform(self, sender: Member, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case RecordMetrics(update):
                    self.recorded.append((sender.node_id, update.value))
                case Multicast(data):
                    self.messages.append((sender, data))
                case _:
                    raise AssertionError(effect)

    def deliver(self, until: MessageType | None = None) -> None:
        while self.messages:
            sender, data = self.messages.popleft()
            self.sent.append(data)
            self.tell(Delivered(sender, data))
            if until is not None and decode_base(data).type == until:
                return

    def publish(self, member: Member, key: bytes, value: bytes) -> None:
        self.perform(member, self.nodes[member].publish(key, value, NOW_S))

    def log(self, member: Member, text: bytes) -> None:
        effects = self.nodes[member].log(
            priority=6, ident=b"root@pam", tag=b"t", text=text, pid=1, now_s=NOW_S + 10
        )
        self.perform(member, effects)


def messages_of(node: StatusNode) -> list[bytes]:
    return [entry.message for entry in node.status.log.entries()]


@pytest.fixture
def group() -> GroupInMemory:
    return GroupInMemory()


def test_members_know_each_others_values_addresses_and_log(group: GroupInMemory) -> None:
    one = group.join(ONE)
    group.publish(ONE, b"kv/x", b"1")
    two = group.join(TWO)
    group.publish(TWO, b"kv/y", b"2")
    group.deliver()
    for node in (one, two):
        assert node.mode is Mode.SYNCED
        text = views.members_text(node.status, is_quorate=True)
        assert b'"node1": { "id": 1, "online": 1, "ip": "10.0.0.1"}' in text
        assert b'"node2": { "id": 2, "online": 1, "ip": "10.0.0.2"}' in text
        assert b'"node3": { "id": 3, "online": 0}' in text
        assert [entry.node for entry in node.status.log.entries()] == [b"node2", b"node1"]
    tables = one.status.values.of(TWO.node_id), two.status.values.of(ONE.node_id)
    assert [table and list(table.values) for table in tables] == [[b"kv/y"], [b"kv/x"]]


def test_own_messages_are_not_applied_again(group: GroupInMemory) -> None:
    one = group.join(ONE)
    group.publish(ONE, b"kv/x", b"1")
    group.log(ONE, b"once")
    group.deliver()
    assert one.status.values.own.values[b"kv/x"].version == 0
    assert one.status.values.of(ONE.node_id) is None
    assert messages_of(one) == [b"once", b"starting cluster log"]


def test_a_node_alone_sends_its_address_and_nothing_else(group: GroupInMemory) -> None:
    group.join(ONE)
    group.deliver()
    assert len(group.sent) == 1


def test_what_happens_during_a_synchronisation_reaches_the_others(group: GroupInMemory) -> None:
    one, two = group.join(ONE), group.join(TWO)
    group.publish(ONE, b"kv/old", b"1")
    group.deliver()
    three = group.join(THREE)
    group.deliver(until=MessageType.STATE)
    assert one.mode is Mode.START_SYNC
    group.log(ONE, b"meanwhile")
    group.publish(ONE, b"kv/new", b"1")
    group.publish(ONE, b"kv/old", b"")
    group.publish(ONE, b"rrd/k", b"1:2\0")
    group.deliver()
    for node in (two, three):
        table = node.status.values.of(ONE.node_id)
        assert table is not None
        assert {key: value.version for key, value in table.values.items()} == {b"kv/new": 0}
        assert b"meanwhile" in messages_of(node)
        assert node.status.metrics.dump(NOW_S).text == b"k:1:2\n"
    assert sorted(group.recorded) == [(number, b"1:2\0") for number in (1, 2, 3)]


def test_a_value_removed_and_set_again_while_nobody_listens_stays_set(
    group: GroupInMemory,
) -> None:
    group.join(ONE)
    two = group.join(TWO)
    group.publish(ONE, b"kv/x", b"1")
    group.deliver()
    group.announce()
    for value in (b"", b"2"):
        group.publish(ONE, b"kv/x", value)
    group.deliver()
    table = two.status.values.of(ONE.node_id)
    assert table is not None
    assert table.values[b"kv/x"].data == b"2"


@pytest.mark.parametrize(
    ("subtype", "payload"), [(1, b"k" * 300), (2, b""), (3, bytes(60)), (9, b"?"), (1, b"rrd/k")]
)
def test_nobody_leaves_for_a_message_that_makes_no_sense(
    group: GroupInMemory, subtype: int, payload: bytes
) -> None:
    one, two = group.join(ONE), group.join(TWO)
    group.deliver()
    group.messages.append((TWO, NormalHeader(subtype, 0, NOW_S, 99).encode() + payload))
    group.deliver()
    assert one.mode is two.mode is Mode.SYNCED


def test_online_flags_stay_when_the_group_is_lost(group: GroupInMemory) -> None:
    one = group.join(ONE)
    group.join(TWO)
    group.deliver()
    del group.nodes[TWO]
    assert one.status.membership.is_online(TWO.node_id)
    group.announce()
    assert not one.status.membership.is_online(TWO.node_id)


def test_without_a_group_everything_works_here() -> None:
    driver = StatusDriver(StatusNode(ClusterStatus("node1")), clock=lambda: NOW_S)
    driver.publish(b"kv/x", b"1")
    driver.publish(b"rrd/k", b"1\0")
    for number in range(1000):
        driver.log(priority=6, ident=b"root", tag=b"t", text=b"%d" % number, pid=1)
    status = driver.node.status
    assert status.values.own.values[b"kv/x"].data == b"1"
    assert status.metrics.dump(NOW_S).text == b"k:1\n"
    assert next(status.log.entries()).message == b"999"


class Archive:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, text: bytes) -> None:
        self.kept.append((key, text))


def test_own_metrics_are_handed_on_to_be_kept_and_refused_ones_are_not() -> None:
    driver, archive = StatusDriver(StatusNode(ClusterStatus("node1")), lambda: NOW_S), Archive()
    driver.attach_recorder(archive)
    with pytest.raises(OperationError):
        driver.publish(b"rrd/pve2-vm/1", b"1:2\0cut")
    assert archive.kept == []
    driver.publish(b"rrd/pve2-vm/1", b"1:2\0cut\0")
    driver.publish(b"kv/x", b"1")
    assert archive.kept == [(b"pve2-vm/1", b"1:2")]


class Recorder:
    """A group that notes what is asked of it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.left: list[bool] = []

    def multicast(self, data: bytes) -> None:
        self.sent.append(data)

    def leave(self, *, for_good: bool) -> None:
        self.left.append(for_good)


def test_the_driver_sends_and_leaves_as_told() -> None:
    group = Recorder()
    driver = StatusDriver(StatusNode(ClusterStatus("node1", ip="10.0.0.1")), clock=lambda: NOW_S)
    driver.attach(group)
    driver.feed([Connected(ONE), ConfigurationChange((ONE,), joined=(ONE,))])
    assert len(group.sent) == 1
    driver.publish(b"kv/x", b"1")
    driver.log(priority=6, ident=b"root", tag=b"t", text=b"hi", pid=1)
    assert len(group.sent) == 3
    driver.feed([Delivered(TWO, NormalHeader(1, 1, NOW_S, 1).encode())])
    assert group.left == [True], "somebody speaks a newer protocol"
    driver.learn_nodes(CLUSTER)
    assert driver.node.status.membership.info == CLUSTER


def test_an_effect_without_a_group_is_a_mistake() -> None:
    driver = StatusDriver(StatusNode(ClusterStatus("node1", ip="10.0.0.1")), clock=lambda: NOW_S)
    with pytest.raises(AssertionError):
        driver.feed([Connected(ONE), ConfigurationChange((ONE,))])
    assert LeaveGroup(for_good=True) != LeaveGroup(for_good=False)


def test_a_member_that_does_not_exist_is_left_out() -> None:
    group = GroupInMemory()
    node = group.join(ONE)
    group.deliver()
    node.step(RingSeen(frozenset({ONE.node_id, TWO.node_id})), NOW_S)
    node.step(ConfigurationChange((ONE, TWO, THREE), joined=(TWO, THREE)), NOW_S)
    effects = [
        effect for _ in range(round(SILENCE_S_MAX)) for effect in node.step(TimePassed(1.0), NOW_S)
    ]
    assert effects == [LeaveGroup(for_good=False)]
    node.step(Disconnected(), NOW_S)
    node.step(Connected(ONE), NOW_S)
    node.step(ConfigurationChange((ONE, THREE), joined=(ONE,)), NOW_S)
    assert node.mode is Mode.SYNCED
