"""Rules of the tree in its group: who acts, what is refused, what a synchronisation leaves."""

from errno import EEXIST, EIO

import pytest
from structlog.testing import capture_logs

from pmxcfs.dcdb import (
    Commit,
    DiskState,
    Forget,
    ForgetAll,
    KeepLosingTree,
    MarkUnshared,
    PublishCorosyncConf,
    TreeApplication,
)
from pmxcfs.dfsm.application import Delivery
from pmxcfs.dfsm.effects import Send
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb import limits
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import encode_operation, encode_update
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Operation,
    SetMtime,
    Unlock,
    UnlockRequest,
    Write,
)
from pmxcfs.memdb.tree import Tree

NOW_S = 1_700_000_000
LOW, MIDDLE, HIGH = (Member(NodeId(number), Pid(100)) for number in (1, 2, 3))
CONF = b"corosync.conf"
LOCK = b"priv/lock/x"


def application(me: Member = LOW, *members: Member) -> TreeApplication:
    made = TreeApplication(Memdb(Tree.new(), NOW_S))
    made.me, made.is_quorate = me, True
    made.on_members(frozenset(members or (LOW, MIDDLE, HIGH)), NOW_S)
    return made


def deliver(
    to: TreeApplication, sender: Member, operation: Operation, now_s: int = NOW_S
) -> Delivery:
    return to.deliver(sender, *encode_operation(operation), NOW_S, now_s)


def fill(to: TreeApplication, *operations: Operation, sender: Member = MIDDLE) -> None:
    for operation in operations:
        assert deliver(to, sender, operation).result >= 0


def entries_of(tree_holder: TreeApplication) -> tuple[Entry, ...]:
    return tuple(tree_holder.memdb.tree.entries())


def offer(leader: TreeApplication, to: TreeApplication) -> None:
    """Let the one who is ahead lead, and the other collect its updates."""
    states = {LOW: leader.state(), HIGH: to.state()}
    updates = leader.compare_states(states).updates
    assert updates is not None
    to.compare_states(states)
    for update in updates:
        to.collect_update(update)


def test_a_new_application_is_not_quorate() -> None:
    made = TreeApplication(Memdb(Tree.new(), NOW_S))
    with pytest.raises(ProtocolError, match="Create delivered while not quorate"):
        deliver(made, LOW, Create(b"f"))


@pytest.mark.parametrize("disk", [DiskState.REFUSING, DiskState.FAILED])
def test_a_disk_that_takes_nothing_means_eio_and_no_change(disk: DiskState) -> None:
    mine = application()
    mine.disk = disk
    assert deliver(mine, LOW, Create(b"f")) == Delivery(-EIO)
    assert mine.memdb.tree.root.version == 1


@pytest.mark.parametrize(("me", "is_released"), [(LOW, True), (MIDDLE, False), (HIGH, False)])
def test_the_lowest_node_alone_releases_an_expired_lock(me: Member, is_released: bool) -> None:
    mine = application(me)
    fill(mine, Mkdir(b"priv"), Mkdir(b"priv/lock"), Mkdir(LOCK))
    lock = mine.memdb.tree.find(LOCK)
    assert lock is not None
    checksum = entry_checksum(lock)
    request = UnlockRequest(LOCK, checksum)
    assert deliver(mine, MIDDLE, request, NOW_S + 120) == Delivery(0)
    release = Send(*encode_operation(Unlock(LOCK, checksum)))
    expected = Delivery(0, (release,) if is_released else ())
    assert deliver(mine, MIDDLE, request, NOW_S + 121) == expected


@pytest.mark.parametrize(
    "operation",
    [Write(b"other", 0, b"x"), SetMtime(CONF, 5), Create(CONF), Create(b"other"), Delete(CONF)],
)
def test_what_does_not_write_corosync_conf_does_not_publish_it(operation: Operation) -> None:
    mine = application()
    fill(mine, Create(CONF), Write(CONF, 0, b"totem {}\n"), Create(b"other"))
    delivery = deliver(mine, LOW, operation)
    assert (delivery.result == -EEXIST) == isinstance(operation, Create)
    assert {type(effect) for effect in delivery.effects} <= {Commit, Forget}


def test_a_commit_that_nobody_began_or_that_was_dropped_breaks_the_rules() -> None:
    mine, leader = application(HIGH), application(LOW)
    with pytest.raises(ProtocolError, match="nobody began"):
        mine.commit(NOW_S)
    fill(leader, Create(b"f"))
    offer(leader, mine)
    mine.drop_sync()
    with pytest.raises(ProtocolError, match="nobody began"):
        mine.commit(NOW_S)


def test_updates_of_an_interrupted_synchronisation_are_forgotten() -> None:
    mine, leader, former = application(HIGH), application(LOW), application(LOW)
    fill(former, Mkdir(b"d"), Create(b"d/f"), Write(b"d/f", 0, b"x"), Create(b"g"))
    offer(former, mine)
    mine.collect_update(encode_update(entries_of(former)[-1]))
    mine.drop_sync()
    fill(leader, Create(b"f"))
    offer(leader, mine)
    mine.commit(NOW_S)
    assert entries_of(mine) == entries_of(leader)


def test_a_copied_corosync_conf_is_brought_to_the_host_without_a_reload() -> None:
    mine, leader = application(HIGH), application(LOW)
    fill(leader, Create(CONF), Write(CONF, 0, b"totem {}\n"))
    offer(leader, mine)
    commit, *effects = mine.commit(NOW_S)
    assert isinstance(commit, Commit)
    assert effects[0] == ForgetAll()
    assert effects[-1] == PublishCorosyncConf(b"totem {}\n", notify=False)


def test_a_tree_with_content_of_its_own_is_kept_whole_before_it_is_replaced() -> None:
    mine, leader = application(HIGH), application(LOW)
    fill(mine, Create(b"f"), Write(b"f", 0, b"mine"), sender=HIGH)
    fill(leader, Create(b"f"), Write(b"f", 0, b"theirs"), Create(b"g"), sender=LOW)
    before = entries_of(mine)
    offer(leader, mine)
    assert mine.commit(NOW_S + 9)[0] == KeepLosingTree(before, NOW_S + 9)


def test_what_only_the_leader_has_is_no_loss_of_ours() -> None:
    mine, leader = application(HIGH), application(LOW)
    fill(leader, Create(b"f"), Write(b"f", 0, b"theirs"))
    mine.sharing.unshared_since = 1
    offer(leader, mine)
    assert not [effect for effect in mine.commit(NOW_S) if isinstance(effect, KeepLosingTree)]


def test_a_member_alone_leads_itself_and_one_of_several_waits_to_be_told() -> None:
    assert application(LOW, LOW).leader == LOW
    assert application(LOW, LOW, HIGH).leader is None


def test_nothing_is_in_doubt_while_nobody_goes() -> None:
    mine = application(LOW, LOW, HIGH)
    fill(mine, Create(b"f"), sender=LOW)
    assert mine.on_members(frozenset({LOW, HIGH}), NOW_S) == ()
    assert mine.on_members(frozenset({LOW, MIDDLE, HIGH}), NOW_S) == ()
    assert mine.on_members(frozenset({LOW, HIGH}), NOW_S) == [MarkUnshared(2)]


@pytest.mark.parametrize(
    ("cluster_size", "members", "is_shared"),
    [
        (0, (LOW,), False),
        (0, (LOW, HIGH), True),
        (2, (LOW,), False),
        (2, (LOW, HIGH), True),
        (3, (LOW, HIGH), True),
        (4, (LOW, HIGH), False),
        (4, (LOW, MIDDLE, HIGH), True),
        (3, (LOW, Member(NodeId(1), Pid(7))), False),
    ],
)
def test_a_change_is_shared_by_more_than_half_of_the_nodes(
    cluster_size: int, members: tuple[Member, ...], is_shared: bool
) -> None:
    mine = application(LOW, *members)
    if cluster_size:
        mine.cluster_size = cluster_size
    marks = [
        effect
        for effect in deliver(mine, LOW, Create(b"f")).effects
        if isinstance(effect, MarkUnshared)
    ]
    assert marks == ([] if is_shared else [MarkUnshared(2)])


def test_a_tree_near_its_limit_is_warned_of_at_start_at_a_change_and_at_a_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONTENT_BYTES_MAX", 1000)
    mine, leader = application(HIGH), application(LOW)

    def warnings(lines: list[object]) -> int:
        return sum("comes near a limit" in str(line) for line in lines)

    with capture_logs() as lines:
        fill(leader, Create(b"f"), Write(b"f", 0, bytes(900)))
    assert warnings([*lines]) == 1
    with capture_logs() as lines:
        TreeApplication(leader.memdb)
    assert warnings([*lines]) == 1
    offer(leader, mine)
    with capture_logs() as lines:
        mine.commit(NOW_S)
    assert warnings([*lines]) == 1


def agreed(*members: Member, cluster_size: int = 3) -> TreeApplication:
    """Return what is in sync, at version 1, with a majority of its cluster."""
    made = application(LOW, *members)
    made.cluster_size = cluster_size
    made.on_members(frozenset(members), NOW_S)
    made.on_agreed(NOW_S)
    return made


def test_what_comes_after_a_member_went_is_what_it_cannot_have() -> None:
    mine = agreed(LOW, MIDDLE, HIGH)
    fill(mine, Create(b"f"))
    mine.on_members(frozenset({LOW, MIDDLE}), NOW_S)
    fill(mine, Create(b"g"))
    assert mine.absences.unseen_since(HIGH.node_id) == 3


def test_who_loses_the_group_knows_no_more_who_has_what() -> None:
    mine = agreed(LOW, MIDDLE)
    assert mine.absences.unseen_since(HIGH.node_id) == 2
    mine.on_group_lost(NOW_S)
    assert mine.absences.unseen_since(HIGH.node_id) is None


@pytest.mark.parametrize(
    ("cluster_size", "remaining", "is_known"),
    [
        (4, (LOW, MIDDLE), True),
        (5, (LOW, MIDDLE), False),
        (4, (LOW,), False),
        (2, (LOW,), True),
        (0, (LOW,), False),
        (0, (LOW, MIDDLE), True),
    ],
)
def test_what_others_cannot_have_is_known_as_long_as_they_are_no_majority(
    cluster_size: int, remaining: tuple[Member, ...], is_known: bool
) -> None:
    mine = agreed(LOW, MIDDLE, HIGH, cluster_size=cluster_size)
    mine.on_members(frozenset(remaining), NOW_S)
    assert mine.absences.unseen_since(NodeId(9)) == (2 if is_known else None)


def test_what_was_only_here_is_not_any_more_once_an_agreement_is_on_disk() -> None:
    mine = application()
    mine.sharing.unshared_since = 5
    mine.note_agreement(NOW_S)
    assert mine.sharing.unshared_since is None
    assert mine.on_group_lost(NOW_S) == [MarkUnshared(5)]


@pytest.mark.parametrize("unshared_since", [None, 100])
def test_a_tree_is_kept_that_the_leader_cannot_have_seen_whatever_else_is_marked(
    unshared_since: int | None,
) -> None:
    mine, leader = agreed(LOW, MIDDLE), application(HIGH)
    fill(mine, Create(b"f"), Write(b"f", 0, b"ours"))
    fill(leader, Create(b"f"), *(Write(b"f", 0, text) for text in (b"a", b"b", b"other")))
    mine.sharing.unshared_since = unshared_since
    states = {LOW: mine.state(), HIGH: leader.state()}
    for update in leader.compare_states(states).updates or ():
        mine.collect_update(update)
    mine.compare_states(states)
    before = entries_of(mine)
    keeping, commit, *_ = mine.commit(NOW_S)
    assert keeping == KeepLosingTree(before, NOW_S)
    assert isinstance(commit, Commit)
    assert commit.is_copy


@pytest.mark.parametrize(("sender", "is_own"), [(LOW, True), (MIDDLE, False)])
def test_the_kernel_is_told_whether_this_node_asked_for_a_change(
    sender: Member, is_own: bool
) -> None:
    delivery = deliver(application(LOW), sender, Create(b"f"))
    (forget,) = (effect for effect in delivery.effects if isinstance(effect, Forget))
    assert forget.is_own is is_own
    assert not Forget(()).is_own
