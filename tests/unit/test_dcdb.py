"""The tree in its group: what deliveries and synchronisations lead to beyond the tree itself."""

import pytest

from pmxcfs.dcdb import (
    Commit,
    ForgetAll,
    KeepLosingTree,
    MarkUnshared,
    PublishCorosyncConf,
    TreeApplication,
    TreeShared,
)
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb import sync
from pmxcfs.memdb.index import index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import encode_operation, encode_update
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, Write
from pmxcfs.memdb.tree import Tree

NOW_S = 1_700_000_000
ME, OTHER = Member(NodeId(1), Pid(101)), Member(NodeId(2), Pid(202))
CONF = b"totem {\n  config_version: 3\n}\n"


def application(me: Member = ME, *operations: Operation) -> TreeApplication:
    made = TreeApplication(Memdb(Tree.new(), NOW_S))
    made.me, made.is_quorate = me, True
    made.on_members(frozenset({ME, OTHER}), NOW_S)
    for operation in operations:
        deliver(made, me, operation)
    return made


def deliver(to: TreeApplication, sender: Member, operation: Operation) -> list[object]:
    return list(to.deliver(sender, *encode_operation(operation), NOW_S, NOW_S).effects)


def test_a_message_is_applied_as_its_sender_and_at_its_time() -> None:
    mine = application()
    mine.deliver(OTHER, *encode_operation(Create(b"a")), 1234, NOW_S)
    entry = mine.memdb.tree.find(b"a")
    assert entry is not None
    assert (entry.writer, entry.mtime) == (2, 1234)


def test_nothing_is_applied_while_not_quorate() -> None:
    mine = application()
    mine.is_quorate = False
    with pytest.raises(ProtocolError, match="not quorate"):
        deliver(mine, OTHER, Create(b"a"))
    assert mine.memdb.tree.root.version == 1


@pytest.mark.parametrize(("sender", "is_notified"), [(ME, True), (OTHER, False)])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_only_the_node_that_changed_corosync_conf_has_it_reloaded(
    sender: Member, is_notified: bool, is_renamed: bool
) -> None:
    mine = application(ME, Create(b"corosync.conf.new"), Write(b"corosync.conf.new", 0, CONF))
    change: Operation = Rename(b"corosync.conf.new", b"corosync.conf")
    if not is_renamed:
        deliver(mine, OTHER, change)
        change = Write(b"corosync.conf", 0, CONF)
    assert PublishCorosyncConf(CONF, is_notified) in deliver(mine, sender, change)


def test_other_files_and_an_empty_corosync_conf_are_not_published() -> None:
    mine = application()
    effects = [
        *deliver(mine, ME, Create(b"corosync.conf")),
        *deliver(mine, ME, Create(b"user.cfg")),
        *deliver(mine, ME, Write(b"user.cfg", 0, b"x")),
    ]
    assert not [effect for effect in effects if isinstance(effect, PublishCorosyncConf)]


@pytest.mark.parametrize("is_quorate", [True, False])
def test_the_leader_offers_what_the_others_lack_and_a_follower_becomes_equal(
    is_quorate: bool,
) -> None:
    """With quorum or without: a minority agrees on a tree too."""
    leader = application(OTHER, Mkdir(b"d"), Create(b"d/f"), Write(b"d/f", 0, b"text"))
    follower = application(ME, Create(b"only-here"))
    leader.is_quorate = follower.is_quorate = is_quorate
    states = {ME: follower.state(), OTHER: leader.state()}
    offered = leader.compare_states(states)
    received = follower.compare_states(states)
    assert (offered.leader, received.leader) == (OTHER, OTHER)
    assert (offered.synced, received.updates) == (frozenset({OTHER}), None)
    assert offered.updates is not None
    for payload in offered.updates:
        follower.collect_update(payload)
    effects = follower.commit(NOW_S)
    assert index_of(follower.memdb.tree) == index_of(leader.memdb.tree)
    assert [type(effect) for effect in effects] == [KeepLosingTree, Commit, ForgetAll]


def test_an_incomplete_update_is_refused_and_changes_nothing() -> None:
    leader = application(OTHER, Create(b"a"), Create(b"b"))
    follower = application()
    states = {ME: follower.state(), OTHER: leader.state()}
    offered = leader.compare_states(states).updates
    follower.compare_states(states)
    assert offered is not None
    follower.collect_update(next(iter(offered)))
    with pytest.raises(ProtocolError):
        follower.commit(NOW_S)
    assert follower.memdb.tree.root.version == 1


def test_a_member_that_sends_no_index_breaks_the_rules() -> None:
    with pytest.raises(ProtocolError):
        application().compare_states({ME: b"\0" * 32, OTHER: b"junk"})


def marks(effects: list[object]) -> list[int]:
    return [effect.version for effect in effects if isinstance(effect, MarkUnshared)]


def test_what_is_applied_with_others_is_not_marked() -> None:
    assert marks(deliver(application(), ME, Create(b"a"))) == []


@pytest.mark.parametrize("cluster_size", [0, 3])
def test_the_first_change_that_is_applied_alone_is_marked_before_it_is_committed(
    cluster_size: int,
) -> None:
    mine = application()
    mine.cluster_size = cluster_size
    mine.on_members(frozenset({ME}), NOW_S)
    effects = deliver(mine, ME, Create(b"a"))
    assert [type(effect) for effect in effects[:2]] == [MarkUnshared, Commit]
    assert marks(effects) == [2]
    assert marks(deliver(mine, ME, Create(b"b"))) == []


def test_a_cluster_of_one_node_has_nobody_to_share_with() -> None:
    mine = application()
    mine.cluster_size = 1
    mine.on_members(frozenset({ME}), NOW_S)
    assert marks(deliver(mine, ME, Create(b"a"))) == []


def test_before_anybody_is_known_to_be_a_member_nothing_is_shared() -> None:
    mine = TreeApplication(Memdb(Tree.new(), NOW_S))
    mine.me, mine.is_quorate, mine.cluster_size = ME, True, 1
    assert marks(deliver(mine, ME, Create(b"a"))) == [2]


def test_two_of_five_nodes_are_as_good_as_alone() -> None:
    mine = application()
    mine.cluster_size = 5
    assert marks(deliver(mine, ME, Create(b"a"))) == [2]


def test_a_node_of_a_cluster_that_works_without_it_marks_its_first_change() -> None:
    mine = application()
    mine.works_alone, mine.cluster_size = True, 1
    assert marks(deliver(mine, ME, Create(b"a"))) == [2]


def test_own_last_changes_are_marked_when_a_member_goes() -> None:
    mine = application()
    deliver(mine, OTHER, Create(b"theirs"))
    deliver(mine, ME, Create(b"ours"))
    assert marks(list(mine.on_members(frozenset({ME}), NOW_S))) == [3]


def test_those_who_agree_share_their_trees_if_they_are_a_majority() -> None:
    mine = application(ME)
    assert mine.on_agreed(NOW_S) == (TreeShared(),)
    mine.cluster_size = 5
    assert mine.on_agreed(NOW_S) == ()


def test_a_member_that_is_behind_keeps_nothing_of_what_it_only_missed() -> None:
    leader, follower = application(OTHER), application(ME)
    for mine in (leader, follower):
        deliver(mine, OTHER, Create(b"doomed"))
    leader.memdb.apply(Delete(b"doomed"), 2, NOW_S, NOW_S)
    states = {ME: follower.state(), OTHER: leader.state()}
    offered = leader.compare_states(states).updates
    follower.compare_states(states)
    assert offered is not None
    for payload in offered:
        follower.collect_update(payload)
    effects = follower.commit(NOW_S)
    assert [type(effect) for effect in effects] == [Commit, ForgetAll]


def test_a_leader_whose_updates_do_not_end_does_not_fill_our_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, leader = application(), application(OTHER, Create(b"a"), Write(b"a", 0, b"text" * 1000))
    update = encode_update(next(e for e in leader.memdb.tree.entries() if e.name == b"a"))
    monkeypatch.setattr(sync, "UPDATES_BYTES_MAX", 3 * (len(update) + 256))
    for _ in range(3):
        mine.collect_update(update)
    with pytest.raises(ProtocolError, match="after 3 updates the leader's tree would be larger"):
        mine.collect_update(update)
    mine.drop_sync()
    mine.collect_update(update)


def test_what_is_applied_is_counted_and_what_is_refused_is_not() -> None:
    mine = application()
    assert (mine.applied, mine.applied_bytes) == (0, 0)
    deliver(mine, OTHER, Create(b"a"))
    deliver(mine, ME, Write(b"a", 0, b"four"))
    deliver(mine, ME, Create(b"a"))
    assert (mine.applied, mine.applied_bytes) == (2, 4)
