"""What watchers are told of changes: the right words, nothing hidden, and nobody waits for them."""

import pytest
import trio

from pmxcfs.dcdb import Commit
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.tap import QUEUE_MAX, Missed, Seen, Tap, Watcher

NOW_S = 1_700_000_000


def sees_all(path: bytes) -> bool:
    return False


def hides_private(path: bytes) -> bool:
    return path.startswith(b"priv")


class Node:
    """A tree with a tap; operations of a batch are applied before the tap hears of them."""

    def __init__(self) -> None:
        self.memdb = Memdb(Tree.new(), NOW_S)
        self.tap = Tap(lambda: self.memdb.tree, lambda: NOW_S)

    def do(self, *operations: Operation, writer: int = 2) -> None:
        outcomes = [self.memdb.apply(each, writer, NOW_S, NOW_S) for each in operations]
        self.tap.take([Commit(outcome.changes) for outcome in outcomes])


@pytest.fixture
def node() -> Node:
    return Node()


async def told(watcher: Watcher) -> list[tuple[str, bytes, bytes | None]]:
    with trio.fail_after(1):
        news = await watcher.take()
    assert all(isinstance(item, Seen) for item in news)
    return [(item.action, item.path, item.target) for item in news if isinstance(item, Seen)]


async def test_each_operation_has_its_word_and_its_path(node: Node) -> None:
    with node.tap.watched(b"", sees_all) as watcher:
        node.do(Mkdir(b"d"), Create(b"d/f"), Write(b"d/f", 0, b"four"))
        node.do(SetMtime(b"d/f", 7), Rename(b"d/f", b"g"), Delete(b"g"), Delete(b"d"))
        assert await told(watcher) == [
            ("mkdir", b"d", None),
            ("create", b"d/f", None),
            ("write", b"d/f", None),
            ("touch", b"d/f", None),
            ("rename", b"d/f", b"g"),
            ("delete", b"g", None),
            ("delete", b"d", None),
        ]


async def test_a_change_names_writer_version_size_and_our_time(node: Node) -> None:
    with node.tap.watched(b"", sees_all) as watcher:
        node.do(Create(b"f"), Write(b"f", 0, b"four"), writer=3)
        [_, seen] = await watcher.take()
    assert seen == Seen(
        *("write", b"f", None, 4, 3, 3, NOW_S), is_sync=False, content=b"four", replaced=b""
    )


async def test_what_is_deleted_with_its_directory_in_one_batch_keeps_its_path(node: Node) -> None:
    node.do(Mkdir(b"a"), Mkdir(b"a/b"), Create(b"a/b/c"))
    with node.tap.watched(b"", sees_all) as watcher:
        node.do(Delete(b"a/b/c"), Delete(b"a/b"), Delete(b"a"))
        assert [path for _, path, _ in await told(watcher)] == [b"a/b/c", b"a/b", b"a"]


async def test_a_watcher_is_told_of_its_part_of_the_tree_only(node: Node) -> None:
    node.do(Mkdir(b"a"), Mkdir(b"ab"))
    with node.tap.watched(b"a", sees_all) as watcher:
        node.do(Create(b"ab/no"), Create(b"a/yes"), Rename(b"a/yes", b"ab/gone"), Delete(b"a"))
        assert await told(watcher) == [
            ("create", b"a/yes", None),
            ("rename", b"a/yes", b"ab/gone"),
            ("delete", b"a", None),
        ]


async def test_hidden_paths_are_never_named_and_moves_show_their_visible_side(node: Node) -> None:
    node.do(Mkdir(b"priv"))
    with node.tap.watched(b"", hides_private) as watcher:
        node.do(Create(b"priv/key"), Rename(b"priv/key", b"public"), Rename(b"public", b"priv/key"))
        node.do(Delete(b"priv/key"), Create(b"end"))
        assert await told(watcher) == [
            ("create", b"public", None),
            ("delete", b"public", None),
            ("create", b"end", None),
        ]


async def test_a_slow_watcher_is_told_how_much_it_missed_and_nobody_waits(node: Node) -> None:
    with node.tap.watched(b"", sees_all) as watcher:
        for number in range(QUEUE_MAX + 10):
            node.do(Create(b"f%d" % number))
        news = await watcher.take()
        assert len(news) == QUEUE_MAX + 1
        assert news[-1] == Missed(10)
        node.do(Delete(b"f1"))
        assert await told(watcher) == [("delete", b"f1", None)]


async def test_a_synchronisation_is_marked_and_its_deletions_have_no_writer(node: Node) -> None:
    node.do(Create(b"old"))
    changes = node.memdb.apply(Delete(b"old"), 2, NOW_S, NOW_S).changes
    with node.tap.watched(b"", sees_all) as watcher:
        node.tap.take([Commit(changes, is_copy=True)])
        [seen] = await watcher.take()
    assert isinstance(seen, Seen)
    assert (seen.is_sync, seen.writer, seen.path) == (True, None, b"old")


def test_who_stopped_watching_is_forgotten(node: Node) -> None:
    with node.tap.watched(b"", sees_all):
        assert len(node.tap) == 1
    assert len(node.tap) == 0
