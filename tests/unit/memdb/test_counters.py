"""Which operations count as a change of an observed file."""

import pytest

from pmxcfs.memdb.counters import OBSERVED_PATHS, ChangeCounters
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from tests.unit.memdb.scene import a_memdb, do, refusal


def counted(memdb: Memdb, operation: Operation) -> dict[bytes, int]:
    """Return by how much an operation moves which counters."""
    before = dict(memdb.counters.items())
    memdb.apply(operation, 1, 1, 0)
    return {path: n - before[path] for path, n in memdb.counters.items() if n != before[path]}


def test_there_are_43_observed_files() -> None:
    assert len(set(OBSERVED_PATHS)) == len(OBSERVED_PATHS) == 43
    assert (OBSERVED_PATHS[0], OBSERVED_PATHS[-1]) == (b"corosync.conf", b"mapping/usb.cfg")


def test_loading_and_replacing_a_tree_counts_for_every_file() -> None:
    memdb = Memdb(Tree.new(), now_s=0)
    assert {count for _, count in memdb.counters.items()} == {1}
    memdb.replace(Tree.new(), now_s=0)
    assert {count for _, count in memdb.counters.items()} == {2}


@pytest.mark.parametrize(
    "operation",
    [Write(b"user.cfg", 0, b"x"), SetMtime(b"user.cfg", 1), Delete(b"user.cfg")],
)
def test_a_change_of_a_file_counts_once(operation: Operation) -> None:
    assert counted(a_memdb("user.cfg"), operation) == {b"user.cfg": 1}


def test_creating_counts_and_making_a_directory_does_not() -> None:
    memdb = a_memdb()
    assert counted(memdb, Create(b"user.cfg")) == {b"user.cfg": 1}
    assert counted(memdb, Mkdir(b"storage.cfg")) == {}
    assert counted(memdb, Delete(b"storage.cfg")) == {b"storage.cfg": 1}


def test_a_rename_counts_for_both_paths() -> None:
    memdb = a_memdb("corosync.conf.new")
    operation = Rename(b"corosync.conf.new", b"corosync.conf")
    assert counted(memdb, operation) == {b"corosync.conf.new": 1, b"corosync.conf": 1}


def test_only_the_exact_path_counts() -> None:
    memdb = a_memdb("x")
    assert counted(memdb, Create(b"/corosync.conf")) == {}
    assert memdb.tree.find(b"corosync.conf") is not None
    assert counted(memdb, Write(b"corosync.conf/", 0, b"x")) == {}


@pytest.mark.parametrize(
    "operation",
    [Create(b"user.cfg"), Delete(b"storage.cfg"), Rename(b"user.cfg", b"none/x")],
)
def test_a_refusal_counts_nothing(operation: Operation) -> None:
    memdb = a_memdb("user.cfg")
    assert refusal(memdb, operation) != "none"
    assert counted(memdb, operation) == {}


def test_refusing_to_rename_a_full_directory_counts_nevertheless() -> None:
    memdb = a_memdb("user.cfg/", "user.cfg/file")
    operation = Rename(b"user.cfg", b"storage.cfg")
    assert refusal(memdb, operation) == "ENOTEMPTY"
    assert counted(memdb, operation) == {b"user.cfg": 1, b"storage.cfg": 1}


def test_taking_back_a_change_counts_so_that_nobody_keeps_what_was_undone() -> None:
    memdb = a_memdb("user.cfg")
    changes = do(memdb, Write(b"user.cfg", 0, b"x")).changes
    before = memdb.counters[b"user.cfg"]
    memdb.revert(changes, now_s=0)
    assert memdb.counters[b"user.cfg"] == before + 1


def test_a_counter_wraps_at_32_bits() -> None:
    counters = ChangeCounters()
    counters._count_of[b"user.cfg"] = 2**32 - 2
    counters.bump(b"user.cfg")
    assert counters[b"user.cfg"] == 2**32 - 1
    counters.bump(b"user.cfg")
    assert counters[b"user.cfg"] == 0
