"""What counts as lost in a synchronisation: own content, not what others removed or wrote over."""

from pmxcfs.memdb.losses import lost_paths
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from tests.unit.memdb.scene import TIME, do, put

PATHS = (b"nodes", b"priv", b"priv/lock")
LOCAL, FIRST, SECOND = 0, 1, 2


def grown(writer: int = FIRST) -> Memdb:
    """Return a tree with directories and three files, made by one node."""
    memdb = Memdb(Tree.new(), now_s=0)
    for path in PATHS:
        do(memdb, Mkdir(path), writer)
    for path in (b"kept", b"edited", b"doomed"):
        do(memdb, Create(path), writer)
        do(memdb, Write(path, 0, b"text of " + path), writer)
    return memdb


def copied(memdb: Memdb) -> Memdb:
    return Memdb(Tree.from_entries(memdb.tree.entries()), now_s=0)


def edit(memdb: Memdb, writer: int, *operations: Operation) -> Memdb:
    for operation in operations:
        do(memdb, operation, writer)
    return memdb


def churn(memdb: Memdb, writer: int, rounds: int) -> Memdb:
    """Do what an idle cluster does: replace a state file over and over."""
    for number in range(rounds):
        draft = b"draft"
        edit(memdb, writer, Create(draft), Write(draft, 0, b"%d" % number))
        edit(memdb, writer, Rename(draft, b"state"))
    return memdb


def test_a_node_that_merely_missed_changes_loses_nothing() -> None:
    ours = grown()
    theirs = edit(
        copied(ours),
        SECOND,
        Write(b"edited", 0, b"new"),
        Delete(b"doomed"),
        Rename(b"kept", b"nodes/moved"),
        Create(b"more"),
    )
    assert lost_paths(ours.tree, theirs.tree) == []


def test_a_node_that_missed_a_change_and_its_deletion_loses_nothing() -> None:
    ours = churn(grown(), FIRST, 3)
    assert lost_paths(ours.tree, churn(copied(ours), SECOND, 30).tree) == []


def test_equal_versions_with_different_content_lose_ours() -> None:
    ours, theirs = grown(), grown()
    put(ours, "kept", b"ours")
    put(theirs, "kept", b"theirs")
    assert lost_paths(ours.tree, theirs.tree) == [b"kept"]


def test_a_change_to_another_file_than_theirs_is_lost_and_all_differences_are_named() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Write(b"kept", 0, b"ours"))
    theirs = edit(copied(base), SECOND, Write(b"edited", 0, b"1"), Write(b"edited", 0, b"2"))
    assert lost_paths(ours.tree, theirs.tree) == [b"kept", b"edited"]


def test_what_we_alone_deleted_shows_that_we_went_our_own_way() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Delete(b"doomed"), Write(b"kept", 0, b"ours"))
    theirs = churn(edit(copied(base), SECOND, Write(b"kept", 0, b"newer")), SECOND, 9)
    assert lost_paths(ours.tree, theirs.tree) == [b"kept"]


def test_one_deletion_is_seen_however_far_they_have_gone_on() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Delete(b"doomed"))
    theirs = edit(churn(copied(base), SECOND, 9), SECOND, Write(b"kept", 0, b"newer"))
    assert lost_paths(ours.tree, theirs.tree) == [b"kept"]


def test_one_new_entry_is_seen_by_its_kind_however_far_they_have_gone_on() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Create(b"ours"))
    theirs = churn(edit(copied(base), SECOND, Mkdir(b"theirs")), SECOND, 9)
    edit(theirs, SECOND, SetMtime(b"theirs", 5))
    assert lost_paths(ours.tree, theirs.tree) == [b"ours"]


def test_an_entry_made_by_our_very_last_change_counts() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Create(b"ours"))
    theirs = churn(edit(copied(base), SECOND, Mkdir(b"theirs")), SECOND, 9)
    assert lost_paths(ours.tree, theirs.tree) == [b"ours"]


def test_a_change_of_theirs_from_a_time_that_we_have_been_through_must_be_ours_too() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Create(b"brief"), Delete(b"brief"))
    theirs = edit(copied(base), SECOND, Write(b"kept", 0, b"1"), Write(b"kept", 0, b"2"))
    assert lost_paths(ours.tree, churn(theirs, SECOND, 9).tree) == [b"kept"]


def test_a_last_change_made_alone_tells_that_we_went_our_own_way() -> None:
    base = grown()
    ours = edit(copied(base), LOCAL, Delete(b"doomed"))
    theirs = edit(copied(base), SECOND, Delete(b"doomed"), Write(b"kept", 0, b"newer"))
    assert lost_paths(ours.tree, theirs.tree) == [b"kept"]


def test_two_files_with_one_inode_number_are_two_files() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Mkdir(b"ours"), Create(b"ours/file"))
    theirs = edit(copied(base), SECOND, Create(b"theirs"), Write(b"theirs", 0, b"x"))
    assert lost_paths(ours.tree, theirs.tree) == [b"ours", b"ours/file"]


def test_a_file_that_was_renamed_and_then_written_is_merely_missed() -> None:
    ours = edit(grown(), FIRST, Create(b"draft"), Write(b"draft", 0, b"1"))
    theirs = edit(copied(ours), SECOND, Rename(b"draft", b"done"), Write(b"done", 0, b"2"))
    assert lost_paths(ours.tree, theirs.tree) == []


def test_local_changes_are_lost_even_if_the_cluster_has_covered_all_traces() -> None:
    base = churn(grown(), FIRST, 1)
    ours = edit(copied(base), LOCAL, Create(b"alone"), Write(b"alone", 0, b"made with -l"))
    assert b"alone" in lost_paths(ours.tree, churn(copied(base), SECOND, 50).tree)


def test_local_changes_older_than_the_last_one_of_the_cluster_are_recognised_too() -> None:
    base = churn(grown(), FIRST, 1)
    ours = edit(copied(base), LOCAL, Write(b"kept", 0, b"made with -l"))
    edit(ours, FIRST, Write(b"edited", 0, b"forced"))
    theirs = edit(churn(copied(base), SECOND, 50), SECOND, Write(b"kept", 0, b"newer"))
    edit(theirs, SECOND, Write(b"edited", 0, b"newer"))
    assert lost_paths(ours.tree, theirs.tree) == [b"kept"]


def test_a_tree_from_before_the_cluster_is_no_local_change() -> None:
    old = churn(grown(writer=LOCAL), LOCAL, 99)
    for base in (edit(old, LOCAL, Write(b"kept", 0, b"late")), grown(writer=LOCAL)):
        theirs = edit(copied(base), SECOND, Delete(b"doomed"), Write(b"kept", 0, b"new"))
        assert lost_paths(base.tree, theirs.tree) == []
    joined = edit(copied(base), FIRST, Write(b"edited", 0, b"1"))
    theirs = edit(copied(joined), SECOND, Delete(b"doomed"), Write(b"kept", 0, b"new"))
    assert lost_paths(joined.tree, theirs.tree) == []


def test_unshared_changes_are_lost_whether_removed_or_written_over() -> None:
    base = churn(grown(), FIRST, 1)
    since = base.tree.root.version + 1
    ours = edit(copied(base), FIRST, Create(b"new"), Write(b"kept", 0, b"ours"))
    theirs = edit(churn(copied(base), SECOND, 9), SECOND, Write(b"kept", 0, b"theirs"))
    assert lost_paths(ours.tree, theirs.tree, unshared_since=since) == [b"kept", b"new"]


def test_what_came_before_the_unshared_changes_is_not_lost() -> None:
    ours = churn(grown(), FIRST, 1)
    theirs = churn(edit(copied(ours), SECOND, Delete(b"doomed")), SECOND, 2)
    since = ours.tree.root.version + 1
    assert lost_paths(ours.tree, theirs.tree, unshared_since=since) == []


def test_the_same_content_elsewhere_or_by_another_hand_is_no_loss() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Create(b"new"), Write(b"new", 0, b"same"))
    theirs = edit(copied(base), SECOND, Create(b"first"), Create(b"new"), Write(b"new", 0, b"same"))
    assert lost_paths(ours.tree, theirs.tree) == []


def test_what_only_moved_is_no_loss_even_if_we_went_our_own_way() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Write(b"edited", 0, b"ours"))
    theirs = edit(copied(base), SECOND, Write(b"edited", 0, b"theirs"), Rename(b"kept", b"moved"))
    assert lost_paths(ours.tree, theirs.tree) == [b"edited"]


def test_locks_are_not_mourned() -> None:
    base = grown()
    ours = edit(copied(base), FIRST, Mkdir(b"priv/lock/mine"), Mkdir(b"priv/lock/another"))
    theirs = edit(copied(base), SECOND, Create(b"a"), Write(b"a", 0, b"x"), Mkdir(b"priv/lock/b"))
    assert lost_paths(ours.tree, theirs.tree) == []


def test_a_fresh_node_with_the_same_imported_file_loses_nothing() -> None:
    fresh, veteran = Memdb(Tree.new(), now_s=0), Memdb(Tree.new(), now_s=0)
    for memdb, time_s in ((fresh, TIME + 9), (veteran, TIME)):
        memdb.apply(Create(b"/corosync.conf"), LOCAL, time_s, 0)
        memdb.apply(Write(b"/corosync.conf", 0, b"totem"), LOCAL, time_s, 0)
    assert lost_paths(fresh.tree, churn(veteran, FIRST, 5).tree) == []
