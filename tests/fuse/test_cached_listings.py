"""The kernel lists directories from its own memory, and never what is no longer true.

The mount runs in this process, its memory lasts an hour, and changes come past the mount as from
another node.
"""

import os
from pathlib import Path

import pytest

from pmxcfs.fuse import attributes
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from tests.fuse.calls import listed
from tests.fuse.test_kernel_memory import HOUR_S, Node

LONG = b"x" * 200
"""Names so long that a listing of some hundred takes several requests."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(attributes, "CACHE_S", HOUR_S)
    return Node(tmp_path / "mnt")


def numbers(directory: Path) -> dict[str, int]:
    """Return what a listing says: the inode of each name, as the listing has it."""
    with os.scandir(directory) as entries:
        return {entry.name: entry.inode() for entry in entries}


async def test_what_was_listed_once_is_not_asked_for_again(node: Node) -> None:
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"), Create(b"d/g"))
    async with node.running():
        for _ in range(2):
            assert await node.call(listed, node.mountpoint / "d") == ["f", "g"]
        entry = node.driver.replica.memdb.tree.find(b"d/g")
        assert entry is not None
        node.driver.replica.memdb.tree.remove(entry.inode)  # behind everybody's back
        assert await node.call(listed, node.mountpoint / "d") == ["f", "g"]


async def test_every_change_by_another_node_shows_however_many_come_in_a_second(
    node: Node,
) -> None:
    await node.elsewhere(Mkdir(b"d"), Mkdir(b"e"), Create(b"d/a"))
    async with node.running():
        d, e = node.mountpoint / "d", node.mountpoint / "e"
        assert await node.call(listed, d) == ["a"]
        for _ in range(50):
            await node.elsewhere(Create(b"d/f"))
            await node.eventually(["a", "f"], lambda: listed(d))
            await node.elsewhere(Rename(b"d/f", b"e/f"))
            await node.eventually(["a"], lambda: listed(d))
            await node.eventually(["f"], lambda: listed(e))
            await node.elsewhere(Rename(b"e/f", b"e/g"))
            await node.eventually(["g"], lambda: listed(e))
            await node.elsewhere(SetMtime(b"e", 7), Delete(b"e/g"), SetMtime(b"d", 7))
            await node.eventually([], lambda: listed(e))


async def test_a_file_replaced_by_another_node_is_listed_with_its_new_inode(node: Node) -> None:
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"))
    async with node.running():
        directory = node.mountpoint / "d"
        for _ in range(20):
            assert list(await node.call(numbers, directory)) == ["f"]
            await node.elsewhere(Create(b"g"), Rename(b"g", b"d/f"))
            entry = node.driver.replica.memdb.tree.find(b"d/f")
            assert entry is not None
            await node.eventually({"f": entry.inode + 1}, lambda: numbers(directory))


async def test_changes_of_our_own_show_at_once(node: Node) -> None:
    async with node.running():

        def use() -> None:
            directory = node.mountpoint / "d"
            directory.mkdir()
            for _ in range(50):
                assert listed(directory) == []
                (directory / "f").touch()
                assert listed(directory) == ["f"]
                (directory / "f").rename(directory / "g")
                assert listed(directory) == ["g"]
                (directory / "g").unlink()
                assert listed(directory) == []
                (directory / "e").mkdir()
                assert listed(directory) == ["e"]
                (directory / "e").rmdir()

        await node.call(use)


async def test_a_listing_from_memory_goes_on_when_the_memory_is_lost(node: Node) -> None:
    names = [b"%03d" % number + LONG for number in range(500)]
    await node.elsewhere(Mkdir(b"d"), *(Create(b"d/" + name) for name in names))
    async with node.running():
        directory = node.mountpoint / "d"
        kept = sorted(name.decode() for name in names[1:-1])
        for _ in range(2):
            assert len(await node.call(listed, directory)) == len(names)
        with await node.call(os.scandir, directory) as entries:
            first = await node.call(entries.__next__)
            await node.elsewhere(Delete(b"d/" + names[0]), Delete(b"d/" + names[-1]))
            await node.eventually(kept, lambda: listed(directory))
            rest: list[os.DirEntry[str]] = await node.call(list, entries)
            found = [first.name, *(entry.name for entry in rest)]
        assert [name for name in found if name in kept] == kept
        assert len(found) == len(set(found))


async def test_the_root_shows_its_changes_and_its_status_files(node: Node) -> None:
    async with node.running():
        links = await node.call(listed, node.mountpoint)
        await node.elsewhere(Create(b"f"))
        assert await node.call(listed, node.mountpoint) == sorted([*links, "f"])
        await node.elsewhere(Delete(b"f"))
        assert await node.call(listed, node.mountpoint) == links


async def test_a_tree_taken_over_from_another_node_is_listed_as_it_is(node: Node) -> None:
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"))
    other = Memdb(Tree.new(), 0)
    for operation in (Mkdir(b"d"), Create(b"d/g"), Write(b"d/g", 0, b"text")):
        assert other.apply(operation, 1, 5, 5).result >= 0
    async with node.running():
        directory = node.mountpoint / "d"
        for _ in range(2):
            assert await node.call(listed, directory) == ["f"]
        node.driver.replica.memdb.replace(other.tree, 5)
        node.driver._cache.forget_all()
        await node.eventually(["g"], lambda: listed(directory))


async def test_a_listing_is_made_anew_when_the_attributes_of_its_names_are_old(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "CACHE_S", 0.0)
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"), Create(b"d/g"))
    async with node.running():
        for _ in range(2):
            assert await node.call(listed, node.mountpoint / "d") == ["f", "g"]
        entry = node.driver.replica.memdb.tree.find(b"d/g")
        assert entry is not None
        node.driver.replica.memdb.tree.remove(entry.inode)  # behind everybody's back
        assert await node.call(listed, node.mountpoint / "d") == ["f"]
