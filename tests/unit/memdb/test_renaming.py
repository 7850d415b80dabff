"""What a rename keeps, what it replaces, and the one refusal that leaves a trace."""

from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.memdb import Outcome
from pmxcfs.memdb.operations import Mkdir, Rename
from tests.unit.memdb.scene import TIME, a_memdb, at, do, put, refusal, snapshot


def test_a_file_keeps_inode_and_content_and_gets_the_operations_stamp() -> None:
    memdb = a_memdb("d/", "file")
    put(memdb, "file", b"content")
    before, version = at(memdb, "file"), memdb.tree.root.version
    memdb.apply(Rename(b"file", b"d/new"), writer=5, time=TIME + 7, now_s=0)
    after = at(memdb, "d/new")
    assert memdb.tree.find(b"file") is None
    assert (after.inode, after.data, after.size) == (before.inode, before.data, before.size)
    assert (after.version, after.writer, after.mtime) == (version + 1, 5, TIME + 7)
    assert after.parent == at(memdb, "d").inode


def test_what_is_at_the_target_is_removed_in_the_same_change() -> None:
    memdb = a_memdb("new", "old")
    new, old = at(memdb, "new"), at(memdb, "old")
    changes = do(memdb, Rename(b"new", b"old")).changes
    assert [change.inode for change in changes] == [old.inode, new.inode, 0]
    assert changes[0] == Change(old, None)
    assert at(memdb, "old").inode == new.inode
    assert len(memdb.tree) == 2


def test_a_full_directory_onto_an_empty_one_loses_the_target_without_a_version() -> None:
    memdb = a_memdb("full/", "full/file", "empty/")
    target, version = at(memdb, "empty"), memdb.tree.root.version
    outcome = memdb.apply(Rename(b"full", b"empty"), 1, TIME, 0)
    assert outcome.result < 0
    assert outcome.changes == (Change(target, None),)
    assert memdb.tree.find(b"empty") is None
    assert memdb.tree.root.version == version
    assert refusal(memdb, Mkdir(b"empty")) == "none"


def test_the_trace_of_a_refused_rename_can_be_taken_back() -> None:
    memdb = a_memdb("full/", "full/file", "empty/")
    before = snapshot(memdb)
    changes = memdb.apply(Rename(b"full", b"empty"), 1, TIME, 0).changes
    memdb.revert(changes, now_s=0)
    assert snapshot(memdb) == before
    assert memdb.tree.path_of(at(memdb, "empty").inode) == b"empty"


def test_an_entry_renamed_to_itself_is_left_alone() -> None:
    memdb = a_memdb("file", "empty/")
    before = snapshot(memdb)
    for operation in (Rename(b"file", b"/file/"), Rename(b"empty", b"empty")):
        assert memdb.apply(operation, 1, TIME, 0) == Outcome(0)
    assert snapshot(memdb) == before


def test_a_directory_does_not_move_into_itself() -> None:
    memdb = a_memdb("empty/")
    before = snapshot(memdb)
    assert refusal(memdb, Rename(b"empty", b"empty/inside")) == "EINVAL"
    assert snapshot(memdb) == before
