"""What a node answers to its own callers, and brings to its host."""

from errno import EBUSY, EIO, ENOENT

import pytest
import structlog

from pmxcfs.dcdb import MarkUnshared, PublishCorosyncConf
from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered, Disconnected, SendFailed
from pmxcfs.dfsm.modes import Mode
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Operation, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import QuorumChanged, Replica
from pmxcfs.waits.stalls import STALL_S_MAX
from pmxcfs.waits.vigil import NodesNamed, RingSeen, TimePassed
from tests.unit.test_driver import ME, NOW_S, OTHER, Disk, Outbox, clustered, standalone

THREE_NODES = NodesNamed({NodeId(number): f"node{number}" for number in (1, 2, 3)})
TICKET = Ticket(1)


def replica_with(
    *operations: Operation, is_standalone: bool = False, unshared_since: int | None = None
) -> Replica:
    """Return a node, alone in its group, in sync and quorate, of which this was asked before."""
    memdb = Memdb(Tree.new(), NOW_S)
    for operation in operations:
        memdb.apply(operation, 0, 1, 1)
    replica = Replica(
        memdb, node_name="node1", standalone=is_standalone, unshared_since=unshared_since
    )
    configuration = ConfigurationChange((ME,), joined=(ME,))
    for event in (Connected(ME), configuration, QuorumChanged(True)):
        replica.step(event, NOW_S)
    return replica


def messages_of(effects: list[Effect]) -> list[bytes]:
    return [effect.data for effect in effects if isinstance(effect, Multicast)]


def marked_by(replica: Replica, operation: Operation) -> list[Effect]:
    """Return the marks that a change sets: that no other node may have it."""
    (message,) = messages_of(replica.submit(TICKET, operation, NOW_S))
    effects = replica.step(Delivered(ME, message), NOW_S)
    return [effect for effect in effects if isinstance(effect, MarkUnshared)]


async def test_at_the_start_corosync_conf_is_brought_to_the_host_and_corosync_is_told() -> None:
    memdb = Memdb(Tree.new(), 0)
    for operation in (Create(b"corosync.conf"), Write(b"corosync.conf", 0, b"text")):
        memdb.apply(operation, 0, 1, 1)
    replica = Replica(memdb, node_name="n", standalone=False)
    assert replica.publication() == [PublishCorosyncConf(b"text", notify=True)]


@pytest.mark.parametrize(
    ("path", "errno"),
    [(b"priv/lock/missing", ENOENT), (b"missing", ENOENT), (b"f", None)],
)
async def test_a_time_of_zero_where_there_is_no_lock_is_a_time_like_others(
    path: bytes, errno: int | None
) -> None:
    driver = standalone(Disk())
    await driver.submit(Create(b"f"))
    if errno is None:
        assert await driver.submit(SetMtime(path, 0)) == 0
        return
    with pytest.raises(OperationError) as refusal:
        await driver.submit(SetMtime(path, 0))
    assert refusal.value.errno == errno


def test_members_are_in_order() -> None:
    driver = clustered(Disk(), Outbox())
    members = tuple(Member(NodeId(number), Pid(101)) for number in range(1, 9))
    driver.feed([ConfigurationChange(members[::-1], joined=members[1:])])
    assert driver.replica.members == members


@pytest.mark.parametrize(("path", "is_marked"), [(b"corosync.conf", True), (b"other", False)])
def test_a_standalone_node_marks_its_changes_if_it_belongs_to_a_cluster(
    path: bytes, is_marked: bool
) -> None:
    replica = replica_with(Create(path), is_standalone=True)
    assert bool(marked_by(replica, Create(b"f"))) is is_marked


@pytest.mark.parametrize(
    ("names", "is_marked"), [(THREE_NODES, True), (NodesNamed({ME.node_id: "node1"}), False)]
)
def test_a_change_is_shared_by_so_many_as_the_configuration_names(
    names: NodesNamed, is_marked: bool
) -> None:
    replica = replica_with()
    replica.step(names, NOW_S)
    assert bool(marked_by(replica, Create(b"f"))) is is_marked


def test_what_was_not_shared_at_the_start_is_marked_anew_only_after_it_was() -> None:
    replica = replica_with(unshared_since=1)
    replica.step(THREE_NODES, NOW_S)
    assert marked_by(replica, Create(b"f")) == []
    replica.on_tree_shared(NOW_S)
    version = replica.memdb.tree.root.version
    assert marked_by(replica, Create(b"g")) == [MarkUnshared(version + 1)]


def test_who_leads_is_known_while_there_are_members() -> None:
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
    replica.step(Connected(ME), NOW_S)
    assert (replica.node_name, replica.leader) == ("node1", None)
    replica.step(ConfigurationChange((ME,), joined=(ME,)), NOW_S)
    assert replica.leader == ME.node_id
    replica.step(Disconnected(), NOW_S)
    assert replica.leader is None


def test_a_withdrawn_change_is_never_sent() -> None:
    replica = replica_with()
    replica.step(ConfigurationChange((ME, OTHER), joined=(OTHER,)), NOW_S)
    for ticket in (TICKET, Ticket(2)):
        assert replica.submit(ticket, Create(b"f"), NOW_S) == []
    assert (replica.held, replica.withdraw(TICKET), replica.held) == (2, True, 1)
    assert not replica.withdraw(TICKET)
    effects = replica.on_disk_failed(NOW_S)
    answers = [effect for effect in effects if isinstance(effect, Answer)]
    assert answers == [Answer(Ticket(2), -EIO)]


def test_the_caller_of_what_could_not_be_sent_is_told() -> None:
    replica = replica_with()
    (message,) = messages_of(replica.submit(TICKET, Create(b"f"), NOW_S))
    (answer,) = replica.step(SendFailed(message), NOW_S)
    assert isinstance(answer, Answer)
    assert answer.ticket == TICKET
    assert answer.result < 0


@pytest.mark.parametrize(
    ("mode", "errno"), [(Mode.ERROR, EIO), (Mode.VERSION_ERROR, EBUSY), (Mode.SYNCED, None)]
)
def test_in_a_mode_that_lasts_every_change_is_refused(mode: Mode, errno: int | None) -> None:
    replica = replica_with()
    replica._machine._core.mode = mode
    assert replica.refusal == errno
    refused = [Answer(TICKET, -(errno or 0))]
    assert (replica.submit(TICKET, Create(b"f"), NOW_S) == refused) is (errno is not None)


@pytest.mark.parametrize(
    ("made", "path", "count"),
    [
        ((Mkdir(b"priv/lock/x"),), b"priv/lock/x", 2),
        ((Create(b"priv/lock/x"),), b"priv/lock/x", 1),
        ((Mkdir(b"d"),), b"d", 1),
        ((), b"priv/lock/x", 1),
    ],
)
def test_a_time_of_zero_asks_to_release_a_lock_and_nothing_else(
    made: tuple[Operation, ...], path: bytes, count: int
) -> None:
    replica = replica_with(Mkdir(b"priv"), Mkdir(b"priv/lock"), *made)
    assert len(messages_of(replica.submit(TICKET, SetMtime(path, 0), NOW_S))) == count
    assert len(messages_of(replica.submit(TICKET, SetMtime(path, 1), NOW_S))) == 1


def test_its_log_lines_are_those_of_dcdb() -> None:
    domains: list[object] = []

    def logger(*names: object) -> structlog.ReturnLogger:
        domains.extend(names)
        return structlog.ReturnLogger()

    structlog.configure(logger_factory=logger)
    try:
        replica = replica_with()
        replica.step(TimePassed(0.5), NOW_S)
        replica.step(ConfigurationChange((ME, OTHER), joined=(OTHER,)), NOW_S)
        before = len(domains)
        for _ in range(round(2 * STALL_S_MAX) + 2):
            replica.step(TimePassed(0.5), NOW_S)
        assert before
        assert len(domains) > before
    finally:
        structlog.reset_defaults()
    assert set(domains) == {"dcdb"}


def test_a_replica_counts_what_was_applied() -> None:
    replica = replica_with()
    assert (replica.applied, replica.applied_bytes, replica.history.position) == (0, 0, 0)
    for operation in (Create(b"f"), Write(b"f", 0, b"text")):
        (message,) = messages_of(replica.submit(TICKET, operation, NOW_S))
        replica.step(Delivered(ME, message), NOW_S)
    assert (replica.applied, replica.applied_bytes, replica.history.position) == (2, 4, 2)


def test_a_replica_tells_what_it_waits_for() -> None:
    replica = replica_with()
    assert (replica.waiting, replica.awaiting, replica.is_stuck) == (None, frozenset(), False)
    replica.step(RingSeen(frozenset({ME.node_id})), NOW_S)
    assert replica.ring == {ME.node_id}
    replica.step(ConfigurationChange((ME, OTHER), joined=(OTHER,)), NOW_S)
    assert replica.waiting is not None
    assert replica.waiting.waits_for == tuple(replica.culprits)
    for _ in range(round(2 * STALL_S_MAX) + 2):
        replica.step(TimePassed(0.5), NOW_S)
    assert replica.is_stuck


def test_a_replica_tells_whose_state_a_synchronisation_lacks() -> None:
    replica = replica_with()
    change = ConfigurationChange((ME, OTHER), joined=(OTHER,))
    (start,) = messages_of(replica.step(change, NOW_S))
    replica.step(Delivered(ME, start), NOW_S)
    assert replica.awaiting == {ME, OTHER}


def test_a_replica_counts_what_was_put_off_for_lack_of_quorum() -> None:
    replica = replica_with()
    replica.step(TimePassed(0.5), NOW_S)
    (message,) = messages_of(replica.submit(TICKET, Create(b"f"), NOW_S))
    replica.step(QuorumChanged(False), NOW_S)
    assert replica.put_off == 0
    replica.step(Delivered(ME, message), NOW_S)
    assert replica.put_off == 1


def test_among_several_nobody_leads_before_they_agreed() -> None:
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
    replica.step(Connected(ME), NOW_S)
    replica.step(ConfigurationChange((ME, OTHER), joined=(ME, OTHER)), NOW_S)
    assert (replica.members, replica.leader) == ((ME, OTHER), None)


def test_it_is_known_since_when_quorum_sync_and_disk_are_as_they_are() -> None:
    replica = replica_with()
    replica.step(QuorumChanged(False), NOW_S + 1)
    replica.step(ConfigurationChange((ME, OTHER), joined=(OTHER,)), NOW_S + 2)
    replica.on_disk_failed(NOW_S + 3)
    replica.step(TimePassed(0.5), NOW_S + 4)
    since = {name: replica.moments.since_s(name) for name in ("quorum", "disk", "sync")}
    assert since == {"quorum": NOW_S + 1, "disk": NOW_S + 3, "sync": NOW_S + 3}
    assert replica.mode is Mode.ERROR
