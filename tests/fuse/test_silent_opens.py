"""Files are opened and closed, and links followed, without a request; nothing is lost by it.

The mount runs in this process, its memory lasts an hour, and changes come past the mount as from
another node.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from pmxcfs.fuse import attributes, session
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.virtual_files import debug_switch, node_links
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Rename, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import QuorumChanged
from tests.fuse.calls import put
from tests.fuse.test_kernel_memory import GID, HOUR_S, Node
from tests.fuse.test_pages import content, opened_in


class Counting(Node):
    """A node that counts its requests, and its waits for the disk."""

    def __init__(self, mountpoint: Path) -> None:
        super().__init__(mountpoint)
        self.is_debug_on = False
        self.synced = 0
        switch = debug_switch(lambda: self.is_debug_on, self._turn)
        self.operations = PmxcfsOperations(self.driver, [switch, *node_links("n")], gid=GID)

    def _turn(self, is_on: bool) -> None:
        self.is_debug_on = is_on

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with (
            session.mounted(self.operations, self.mountpoint) as mount,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(mount.serve)
            try:
                yield
            finally:
                mount.stop()

    def count(self, *kinds: str) -> int:
        """Count the requests of some kinds so far."""
        durations = self.operations.requests.durations
        return sum(sum(durations[kind].counts) for kind in kinds if kind in durations)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(attributes, "CACHE_S", HOUR_S)
    return Counting(tmp_path / "mnt")


async def test_a_file_that_was_read_is_opened_read_and_closed_without_a_request(
    node: Counting,
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    async with node.serving():
        for _ in range(10):
            assert await node.call((node.mountpoint / "f").read_bytes) == b"text"
        asked = node.count("lookup", "getattr", "open", "read", "release")
        assert asked <= (9 if node.operations.opens_are_silent else 29)


async def test_a_link_is_read_once_for_each_quorum(node: Counting) -> None:
    await node.elsewhere(Mkdir(b"nodes"), Mkdir(b"nodes/n"), Create(b"nodes/n/f"))
    async with node.serving():
        for is_quorate in (True, False, True):
            node.driver.feed([QuorumChanged(is_quorate)])
            for _ in range(3):
                assert await node.call(os.readlink, node.mountpoint / "local") == "nodes/n"
                assert await node.call((node.mountpoint / "local/f").read_bytes) == b""
        assert node.count("readlink") <= 3


async def test_a_file_cut_when_it_is_opened_is_cut_by_a_request(node: Counting) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"a long text"))
    async with node.serving():
        for text in (b"longer than before", b"short", b""):
            await node.call((node.mountpoint / "f").write_bytes, text)
            assert content(node, "f") == text
            assert await node.call((node.mountpoint / "f").read_bytes) == text
        flags = os.O_WRONLY | os.O_TRUNC
        await node.call(put, node.mountpoint / ".debug", b"1\n", 0, flags)
        assert node.is_debug_on
        assert await node.call((node.mountpoint / ".debug").read_bytes) == b"1\n"


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
async def test_a_synchronous_write_waits_for_the_disk(
    node: Counting, flag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sync() -> None:
        node.synced += 1

    monkeypatch.setattr(node.driver, "sync", sync)
    async with node.serving():
        file = node.mountpoint / "f"
        for flags in (os.O_CREAT, 0, os.O_TRUNC):
            before = node.synced
            await node.call(put, file, b"text", 0, os.O_WRONLY | flag | flags)
            assert node.synced > before
        before = node.synced
        await node.call(put, file, b"text", 0, os.O_WRONLY)
        assert node.synced == before


async def test_what_is_open_lives_on_however_it_loses_its_name(node: Counting) -> None:
    names = ("removed", "replaced", "absent")
    for name in names:
        await node.elsewhere(Create(name.encode()), Write(name.encode(), 0, b"old text"))
    async with (
        node.serving(),
        opened_in(node, names[0], os.O_RDWR) as first,
        opened_in(node, names[1], os.O_RDWR) as second,
        opened_in(node, names[2], os.O_RDWR) as third,
    ):
        await node.elsewhere(Delete(b"removed"), Create(b"new"), Rename(b"new", b"replaced"))
        node.driver.replica.memdb.replace(Tree.new(), 1000)
        node.driver._cache.forget_all()
        for opened in (first, second, third):
            assert await node.call(os.pread, opened, 100, 0) == b"old text"
            await node.call(os.pwrite, opened, b"NEW", 0)
            assert await node.call(os.pread, opened, 100, 0) == b"NEW text"
            await node.call(os.ftruncate, opened, 3)
            assert (await node.call(os.fstat, opened)).st_size == 3
        for name in names:
            assert not await node.call((node.mountpoint / name).exists)


async def test_a_removed_file_that_nobody_has_open_is_let_go(node: Counting) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    async with node.serving():
        assert await node.call((node.mountpoint / "f").read_bytes) == b"text"
        entry = node.driver.replica.memdb.tree.find(b"f")
        assert entry is not None
        await node.elsewhere(Delete(b"f"))
        await node.eventually(False, (node.mountpoint / "f").exists)
        node.operations._open_files._removed.clear()  # those that are remembered on purpose
        inode = entry.inode
        await node.eventually(None, lambda: node.operations._open_files.get(inode))
