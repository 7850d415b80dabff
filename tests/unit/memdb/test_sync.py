"""Who leads, what is sent, and that a member ends with exactly the leader's tree."""

from dataclasses import replace

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb import index as index_module
from pmxcfs.memdb import sync as sync_module
from pmxcfs.memdb.entry import ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.memdb.index import Index, index_digest, index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import decode_update, encode_update
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Rename, SetMtime, Write
from pmxcfs.memdb.sync import (
    UPDATES_BYTES_MAX,
    Updates,
    catch_up,
    choose_leader,
    differing_inodes,
)
from pmxcfs.memdb.tree import Tree
from tests.unit.memdb.scene import a_memdb, do, put


def member(node: int, pid: int = 1) -> Member:
    return Member(NodeId(node), Pid(pid))


def an_index(version: int, mtime: int = 0) -> Index:
    return Index(version, ROOT_INODE, 0, mtime, ())


@pytest.mark.parametrize(
    ("indexes", "leader"),
    [
        ({1: an_index(5), 2: an_index(7), 3: an_index(6)}, 2),
        ({1: an_index(5, 10), 2: an_index(5, 11)}, 2),
        ({1: an_index(6, 0), 2: an_index(5, 99)}, 1),
        ({3: an_index(5, 10), 2: an_index(5, 10), 4: an_index(5, 10)}, 2),
        ({1: an_index(5, 2**31), 2: an_index(5, 1)}, 1),
        ({1: an_index(2**40), 2: an_index(3)}, 1),
    ],
)
def test_the_leader_has_the_highest_version_then_the_latest_mtime_then_the_lowest_id(
    indexes: dict[int, Index], leader: int
) -> None:
    sent = {member(node): index for node, index in indexes.items()}
    assert choose_leader(sent) == member(leader)


def test_of_two_processes_on_one_node_the_lower_pid_leads() -> None:
    assert choose_leader({member(1, 9): an_index(1), member(1, 3): an_index(1)}) == member(1, 3)


def test_without_an_index_there_is_no_leader() -> None:
    with pytest.raises(ValueError, match="empty"):
        choose_leader({})


def a_pair() -> tuple[Memdb, Memdb]:
    """Return two equal trees, to be made different."""
    paths = ("nodes/", "nodes/a/", "file", "old", "moved", "gone/")
    first, second = a_memdb(*paths), a_memdb(*paths)
    assert index_of(first.tree) == index_of(second.tree)
    return first, second


def changed(memdb: Memdb) -> None:
    for operation in (
        Write(b"file", 0, b"content"),
        Mkdir(b"new"),
        Rename(b"moved", b"new/place"),
        Delete(b"gone"),
        SetMtime(b"nodes/a", 7),
        Rename(b"old", b"gone"),
        Create(b"old"),
    ):
        do(memdb, operation)


def updates_from(leader: Memdb, *others: Tree) -> list[Entry]:
    """Return what the leader sends, through the wire's form."""
    inodes = differing_inodes(index_of(leader.tree), [index_of(tree) for tree in others])
    entries = [leader.tree.get(inode) for inode in inodes]
    return [decode_update(encode_update(entry)) for entry in entries if entry is not None]


def test_a_member_that_lags_behind_ends_with_the_leaders_tree() -> None:
    leader, member_ = a_pair()
    changed(leader)
    before = list(member_.tree.entries())
    tree, changes = catch_up(
        member_.tree, index_of(leader.tree), updates_from(leader, member_.tree)
    )
    assert list(tree.entries()) == list(leader.tree.entries())
    assert index_of(tree) == index_of(leader.tree)
    assert list(member_.tree.entries()) == before
    assert changes[-1].after == leader.tree.root


def test_the_changes_of_a_sync_are_what_differs_and_no_more() -> None:
    leader, member_ = a_pair()
    changed(leader)
    tree, changes = catch_up(
        member_.tree, index_of(leader.tree), updates_from(leader, member_.tree, Tree.new())
    )
    assert all(change.before != change.after for change in changes)
    assert {change.inode for change in changes[:-1]} == {
        entry.inode
        for old, new in ((member_.tree, tree), (tree, member_.tree))
        for entry in old.entries()
        if new.get(entry.inode) != entry and entry.inode != ROOT_INODE
    }


def test_only_what_somebody_lacks_is_sent_ascending() -> None:
    leader, member_ = a_pair()
    do(leader, Write(b"file", 0, b"x"))
    sent = updates_from(leader, member_.tree)
    assert [entry.name for entry in sent] == [b"", b"file"]
    everything = updates_from(leader, member_.tree, Tree.new())
    assert everything == list(leader.tree.entries())
    assert differing_inodes(index_of(leader.tree), []) == []


def test_changes_come_by_ascending_inode_and_the_root_last() -> None:
    root = replace(Tree.new().root, version=2000)
    inodes = [Inode(number) for number in (64, 2, 1000, 9)]
    files = [Entry(n, ROOT_INODE, n, 1, 1, EntryType.FILE, b"f%d" % n) for n in inodes]
    leader = Tree.from_entries([root, *files])
    _, changes = catch_up(Tree.new(), index_of(leader), [root, *files])
    assert [change.inode for change in changes] == [2, 9, 64, 1000, ROOT_INODE]


def test_a_member_hashes_only_what_a_sync_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"file{number}" for number in range(50)]
    leader, member_ = a_memdb(*paths), a_memdb(*paths)
    index_of(member_.tree)
    do(leader, Write(b"file7", 0, b"x"))
    do(leader, Delete(b"file8"))
    hashed: list[bytes] = []

    def noting(entry: Entry) -> bytes:
        hashed.append(entry.name)
        return index_digest(entry)

    index, updates = index_of(leader.tree), updates_from(leader, member_.tree)
    monkeypatch.setattr(index_module, "index_digest", noting)
    tree, _ = catch_up(member_.tree, index, updates)
    assert hashed == [b"", b"file7"]
    monkeypatch.undo()
    assert index_of(tree) == index_of(Tree.from_entries(tree.entries()))


def test_content_where_the_leaders_file_has_none_is_refused() -> None:
    leader, member_ = a_pair()
    do(leader, Write(b"file", 5, b"", truncate=True))
    *others, hollow = updates_from(leader, member_.tree)
    for data in (b"false", b"\0\0\0\0e"):
        with pytest.raises(ProtocolError, match="leader's index"):
            catch_up(member_.tree, index_of(leader.tree), [*others, replace(hollow, data=data)])


def test_an_empty_member_gets_everything_and_a_full_one_can_lose_everything() -> None:
    leader, _ = a_pair()
    tree, _ = catch_up(Tree.new(), index_of(leader.tree), list(leader.tree.entries()))
    assert index_of(tree) == index_of(leader.tree)
    emptied, changes = catch_up(tree, index_of(Tree.new()), [Tree.new().root])
    assert list(emptied.entries()) == [Tree.new().root]
    assert sum(change.after is None for change in changes) == len(tree) - 1


def test_a_file_with_a_size_and_no_content_survives_the_sync() -> None:
    leader, member_ = a_pair()
    do(leader, Write(b"file", 5, b"", truncate=True))
    put(leader, "old", bytes(5))
    tree, _ = catch_up(member_.tree, index_of(leader.tree), updates_from(leader, member_.tree))
    assert list(tree.entries()) == list(leader.tree.entries())


def test_a_member_that_is_in_sync_changes_nothing() -> None:
    leader, member_ = a_pair()
    _, changes = catch_up(member_.tree, index_of(leader.tree), [leader.tree.root])
    assert changes == ()


def faulty_updates() -> list[list[Entry]]:
    leader, member_ = a_pair()
    changed(leader)
    good = updates_from(leader, member_.tree)
    foreign = replace(good[-1], inode=type(good[-1].inode)(99))
    return [
        good[:-1],
        good[1:],
        [*good[:-1], replace(good[-1], mtime=1)],
        [*good, foreign],
        [*good[:-1], replace(good[-1], parent=good[-1].inode)],
        [*good[:-1], replace(good[-1], name=b"nodes")],
        [],
    ]


@pytest.mark.parametrize("updates", faulty_updates(), ids=range(7))
def test_updates_that_do_not_make_up_the_leaders_tree_are_refused(updates: list[Entry]) -> None:
    leader, member_ = a_pair()
    changed(leader)
    before = list(member_.tree.entries())
    with pytest.raises(ProtocolError):
        catch_up(member_.tree, index_of(leader.tree), updates)
    assert list(member_.tree.entries()) == before


def test_taking_over_a_tree_derives_guests_locks_and_counters_anew() -> None:
    leader = a_memdb(
        "nodes/", "nodes/a/", "nodes/a/lxc/", "nodes/a/lxc/7.conf", "priv/", "priv/lock/"
    )
    do(leader, Mkdir(b"priv/lock/x"))
    memdb = Memdb(Tree.new(), now_s=0)
    memdb.replace(leader.tree, now_s=50)
    assert [guest.vmid for guest in memdb.guests] == [7]
    assert b"priv/lock/x" in memdb.locks
    assert memdb.counters[b"user.cfg"] == 2
    assert memdb.tree is leader.tree


def test_undoing_and_redoing_derive_guests_locks_and_counters_anew() -> None:
    memdb = a_memdb("nodes/", "nodes/a/", "nodes/a/lxc/", "priv/", "priv/lock/")
    changes = [
        *do(memdb, Create(b"nodes/a/lxc/7.conf")).changes,
        *do(memdb, Mkdir(b"priv/lock/x")).changes,
    ]
    after, count = list(memdb.tree.entries()), memdb.counters[b"user.cfg"]
    memdb.revert(changes, now_s=0)
    assert (len(memdb.guests), b"priv/lock/x" in memdb.locks) == (0, False)
    memdb.redo(changes, now_s=0)
    assert list(memdb.tree.entries()) == after
    assert [guest.vmid for guest in memdb.guests] == [7]
    assert b"priv/lock/x" in memdb.locks
    assert memdb.counters[b"user.cfg"] == count + 2


def an_update(inode: int) -> bytes:
    entry = Entry(Inode(inode), ROOT_INODE, inode, 1, 1, EntryType.FILE, b"f", 3, b"abc")
    return encode_update(entry)


def test_updates_are_kept_in_the_order_in_which_they_come() -> None:
    updates = Updates()
    for inode in (7, 3, 5):
        updates.collect(an_update(inode))
    assert [entry.inode for entry in updates.entries] == [7, 3, 5]


def test_a_leader_may_send_four_times_what_a_tree_may_have_and_no_byte_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert UPDATES_BYTES_MAX == 512 * 1024 * 1024
    full = 3 * (len(an_update(1)) + 256)
    monkeypatch.setattr(sync_module, "UPDATES_BYTES_MAX", full)
    updates = Updates()
    for inode in (1, 2, 3):
        updates.collect(an_update(inode))
    with pytest.raises(ProtocolError, match=r"^after 3 updates the leader's tree would be larger"):
        updates.collect(an_update(4))
    assert [entry.inode for entry in updates.entries] == [1, 2, 3]

    monkeypatch.setattr(sync_module, "UPDATES_BYTES_MAX", full - 1)
    updates = Updates()
    updates.collect(an_update(1))
    updates.collect(an_update(2))
    with pytest.raises(ProtocolError, match=r"^after 2 updates"):
        updates.collect(an_update(3))
