"""How large the tree may become through this node, and when that is said."""

from dataclasses import replace
from errno import EEXIST, ENOSPC

import pytest
import structlog.testing

from pmxcfs.dcdb import TreeApplication
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb import limits
from pmxcfs.memdb.entry import Inode
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX, ENTRIES_MAX, Gauge, Level, check_room
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import encode_operation
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from tests.unit.memdb.scene import a_memdb, do
from tests.unit.test_driver import NOW_S, Disk, standalone

ME = Member(NodeId(1), Pid(1))


def tree_with(content_bytes: int) -> Tree:
    """Return a tree with a file ``f`` of 1000 bytes and this much content in all."""
    memdb = a_memdb("f")
    do(memdb, Write(b"f", 0, bytes(1000)))
    memdb.tree.content_size_bytes = content_bytes
    return memdb.tree


def refused(tree: Tree, operation: Operation) -> bool:
    try:
        check_room(tree, operation)
    except OperationError as refusal:
        return refusal.errno == ENOSPC
    return False


@pytest.mark.parametrize(
    ("left_bytes", "write", "is_refused"),
    [
        (100, Write(b"f", 1000, bytes(100)), False),
        (100, Write(b"f", 1000, bytes(101)), True),
        (100, Write(b"f", 900, bytes(201)), True),
        (100, Write(b"f", 900, bytes(200)), False),
        (100, Write(b"f", 1101, b"", truncate=True), True),
        (100, Write(b"f", 1100, b"", truncate=True), False),
        (0, Write(b"f", 0, bytes(1000)), False),
        (0, Write(b"f", 10, b"", truncate=True), False),
        (-5000, Write(b"f", 0, bytes(1000)), False),
        (-5000, Write(b"f", 1000, b"x"), True),
        (0, Write(b"absent", 0, b"x"), False),
        (0, Write(b"f", 0, b"", truncate=True), False),
        (-5000, Write(b"absent", 0, b"x"), False),
        (-5000, Write(b"f", 10, b"", truncate=True), False),
    ],
)
def test_content_may_fill_the_limit_and_not_pass_it(
    left_bytes: int, write: Write, is_refused: bool
) -> None:
    assert refused(tree_with(CONTENT_BYTES_MAX - left_bytes), write) is is_refused


@pytest.mark.parametrize("operation", [Create(b"new"), Mkdir(b"new")])
def test_entries_may_fill_the_limit_and_not_pass_it(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = a_memdb("f").tree
    monkeypatch.setattr(limits, "ENTRIES_MAX", 3)
    assert not refused(tree, operation)
    monkeypatch.setattr(limits, "ENTRIES_MAX", 2)
    assert refused(tree, operation)


def test_a_full_tree_can_be_changed_and_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENTRIES_MAX", 1)
    tree = tree_with(CONTENT_BYTES_MAX)
    for operation in (Delete(b"f"), Rename(b"f", b"g"), SetMtime(b"f", 1), Create(b"f")):
        assert not refused(tree, operation)


def test_the_limits_are_the_ones_that_statfs_shows() -> None:
    assert (CONTENT_BYTES_MAX, ENTRIES_MAX) == (32768 * 4096, 262144)


def test_who_originates_a_change_gets_enospc_and_who_applies_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ENTRIES_MAX", 2)
    driver = standalone(Disk())
    results: list[int] = []
    for operation in (Create(b"a"), Create(b"b"), Create(b"a"), Delete(b"a"), Create(b"b")):
        driver.begin(operation, results.append)
    assert results == [0, -ENOSPC, -EEXIST, 0, 0]
    application = driver.replica._application
    application.deliver(ME, *encode_operation(Create(b"c")), NOW_S, NOW_S)
    assert driver.replica.memdb.tree.find(b"c") is not None


# warnings


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(limits, "CONTENT_BYTES_MAX", 1000)
    return Memdb(Tree.new(), 0).tree


def test_a_level_is_told_at_the_very_entry_that_reaches_it(
    small: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ENTRIES_MAX", 1000)
    gauge = Gauge()
    told = {}
    for count in (799, 800, 999, 1000):
        monkeypatch.setattr(Tree, "__len__", lambda self, count=count: count)
        told[count] = gauge.read(small)
    assert told == {
        799: [],
        800: [Level("entries", 80, 800, 1000)],
        999: [],
        1000: [Level("entries", 100, 1000, 1000)],
    }


def test_a_level_is_told_at_the_very_byte_that_reaches_it(small: Tree) -> None:
    gauge = Gauge()
    told = {}
    for size in (792, 799, 800, 999, 1000):
        small.content_size_bytes = size
        told[size] = gauge.read(small)
    assert told == {
        792: [],
        799: [],
        800: [Level("bytes of content", 80, 800, 1000)],
        999: [],
        1000: [Level("bytes of content", 100, 1000, 1000)],
    }


def test_each_level_is_told_once_until_it_was_left_for_good(small: Tree) -> None:
    gauge = Gauge()
    told = []
    for content_bytes in (790, 800, 990, 999, 1000, 1001, 960, 1000, 950, 1000, 760, 800, 750, 800):
        small.content_size_bytes = content_bytes
        told.append([level.percent for level in gauge.read(small)])
    assert {level.of for level in Gauge().read(small)} == {"bytes of content"}
    assert told == [[], [80], [], [], [100], [], [], [], [], [100], [], [], [], [80]]


def test_a_level_of_entries_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENTRIES_MAX", 2)
    assert Gauge().read(a_memdb("f").tree) == [Level("entries", 100, 2, 2)]


def test_a_change_that_reaches_a_level_is_logged_whoever_made_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONTENT_BYTES_MAX", 1000)
    driver = standalone(Disk())
    driver.begin(Create(b"f"), lambda result: None)
    with structlog.testing.capture_logs() as lines:
        driver.begin(Write(b"f", 0, bytes(700)), lambda result: None)
        for size in (800, 810, 820):
            driver.begin(Write(b"f", 0, bytes(size)), lambda result: None)
    assert [(line["of"], line["percent"], line["used"]) for line in lines] == [
        ("bytes of content", 80, 800)
    ]


def test_a_tree_that_is_nearly_full_is_told_of_at_the_start(small: Tree) -> None:
    inode = Inode(2)
    memdb = a_memdb("f")
    entry = memdb.tree.find(b"f")
    assert entry is not None
    assert entry.inode == inode
    memdb.tree.put(replace(entry, data=bytes(900), size=900))
    with structlog.testing.capture_logs() as lines:
        TreeApplication(memdb)
    assert len(lines) == 1
