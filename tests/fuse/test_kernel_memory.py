"""What the kernel remembers is forgotten when it is no longer true.

The mount runs in this process, its memory lasts an hour, and changes come past the mount as from
another node: what is right here is right because the kernel was told, not because time passed.
"""

import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from errno import EACCES
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse import attributes, session
from pmxcfs.fuse.mountpoint import mount_id
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.virtual_files import node_links
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.options import FuseBinding
from pmxcfs.replica import QuorumChanged, Replica
from pmxcfs.stepping import Promise
from tests.fuse.calls import listed, refusal

HOUR_S = 3600.0
WITHIN_S = 10
GID = 33

Result = TypeVar("Result")


class _NoDisk:
    def commit(self, changes: object) -> None:
        pass

    def probe(self) -> None:
        pass


class Node:
    """A driver, and a mount of it in this process. Calls into the mount run in threads."""

    def __init__(self, mountpoint: Path) -> None:
        self.mountpoint = mountpoint
        replica = Replica(Memdb(Tree.new(), 0), node_name="n", standalone=True)
        self.driver = Driver(replica, _NoDisk(), lambda: 1_700_000_000)
        group = LoopbackGroup(Member(NodeId(0), Pid(1)), self.driver.feed)
        self.driver.attach(group)
        group.start()

    @asynccontextmanager
    async def running(self, binding: FuseBinding = FuseBinding.LOWLEVEL) -> AsyncIterator[None]:
        operations = PmxcfsOperations(self.driver, node_links("n"), gid=GID)
        async with (
            session.mounted(operations, self.mountpoint, binding) as mount,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(mount.serve)
            try:
                yield
            finally:
                mount.stop()

    async def elsewhere(self, *operations: Operation) -> None:
        for operation in operations:
            await self.driver.submit(operation)

    async def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)

    async def eventually(self, expected: object, function: Callable[[], object]) -> None:
        """Ask until the answer is right; the kernel is told in the background."""
        with trio.move_on_after(WITHIN_S):
            while (found := await self.call(function)) != expected:  # noqa: ASYNC110  (no event)
                await trio.sleep(0.001)
            return
        pytest.fail(f"still {found!r} instead of {expected!r}")

    def size_of(self, name: str) -> Callable[[], int | None]:
        def size() -> int | None:
            try:
                return (self.mountpoint / name).stat().st_size
            except FileNotFoundError:
                return None

        return size

    def mode_of(self, name: str) -> Callable[[], int]:
        return lambda: stat.S_IMODE(os.lstat(self.mountpoint / name).st_mode)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(attributes, "CACHE_S", HOUR_S)
    return Node(tmp_path / "mnt")


async def test_the_kernel_answers_by_itself_what_it_remembers(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        assert await node.call(node.size_of("f")) == 3
        entry = node.driver.replica.memdb.tree.find(b"f")
        assert entry is not None
        node.driver.replica.memdb.tree.remove(entry.inode)  # behind everybody's back
        assert await node.call(node.size_of("f")) == 3


async def test_a_file_written_elsewhere_shows_its_new_size_and_text(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        assert await node.call(node.size_of("f")) == 3
        await node.elsewhere(Write(b"f", 0, b"longer"))
        await node.eventually(6, node.size_of("f"))
        assert await node.call((node.mountpoint / "f").read_bytes) == b"longer"


async def test_who_has_a_file_open_reads_what_was_written_elsewhere(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):
            name = node.mountpoint / ("g" if flags & os.O_CREAT else "f")
            descriptor = await node.call(os.open, name, flags)
            for text in (b"two", b"six"):
                await node.elsewhere(Write(name.name.encode(), 0, text))
                await node.eventually(text, lambda: os.pread(descriptor, 100, 0))  # noqa: B023
            await node.call(os.close, descriptor)


async def test_a_file_removed_elsewhere_is_gone(node: Node) -> None:
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"))
    async with node.running():
        assert await node.call(node.size_of("d/f")) == 0
        await node.elsewhere(Delete(b"d/f"))
        await node.eventually(None, node.size_of("d/f"))
        await node.elsewhere(Create(b"d/f"), Write(b"d/f", 0, b"new"))
        assert await node.call(node.size_of("d/f")) == 3


async def test_a_directory_made_anew_elsewhere_is_the_new_one(node: Node) -> None:
    await node.elsewhere(Mkdir(b"d"))
    async with node.running():
        assert await node.call((node.mountpoint / "d").is_dir)
        await node.elsewhere(Delete(b"d"), Mkdir(b"d"), Create(b"d/f"))
        await node.call((node.mountpoint / "d/g").touch)
        assert await node.call(listed, node.mountpoint / "d") == ["f", "g"]
        assert node.driver.replica.memdb.tree.find(b"d/g") is not None


async def test_a_file_replaced_elsewhere_has_the_new_text(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Create(b"g"), Write(b"g", 0, b"new"))
    async with node.running():
        assert await node.call((node.mountpoint / "f").read_bytes) == b""
        await node.elsewhere(Rename(b"g", b"f"))
        await node.eventually(b"new", (node.mountpoint / "f").read_bytes)


async def test_the_old_name_of_a_file_moved_elsewhere_goes_with_the_kernels_memory(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "CACHE_S", 0.1)
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        assert await node.call(node.size_of("f")) == 3
        await node.elsewhere(Rename(b"f", b"g"))
        assert await node.call(node.size_of("g")) == 3
        await node.eventually(None, node.size_of("f"))


async def test_a_file_removed_elsewhere_is_read_on_by_who_has_it_open(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    async with node.running():
        descriptor = await node.call(os.open, node.mountpoint / "f", os.O_RDONLY)
        await node.elsewhere(Delete(b"f"))
        assert await node.call(os.pread, descriptor, 10, 0) == b"text"
        await node.eventually(0, lambda: os.fstat(descriptor).st_nlink)
        await node.call(os.close, descriptor)


async def test_a_lost_quorum_shows_in_every_mode_at_once(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Mkdir(b"d"))
    async with node.running():
        for is_quorate, bits in ((True, 0o777), (False, 0o555), (True, 0o777)):
            node.driver.feed([QuorumChanged(is_quorate)])
            for name, mode in (("f", 0o640), ("d", 0o755), ("local", 0o755)):
                await node.eventually(mode & bits, node.mode_of(name))


async def test_a_tree_taken_over_from_another_node_replaces_what_the_kernel_knew(
    node: Node,
) -> None:
    await node.elsewhere(Mkdir(b"d"), Create(b"d/f"), Create(b"same"))
    other = Memdb(Tree.new(), 0)
    for operation in (Create(b"d"), Write(b"d", 0, b"now a file"), Create(b"x"), Create(b"same")):
        assert other.apply(operation, 1, 5, 5).result >= 0
    async with node.running():
        assert await node.call(node.size_of("d/f")) == 0
        assert await node.call(node.size_of("same")) == 0
        node.driver.replica.memdb.replace(other.tree, 5)
        node.driver._cache.forget_all()
        names = ["d", "local", "lxc", "openvz", "qemu-server", "same", "x"]
        assert await node.call(listed, node.mountpoint) == names
        await node.eventually(10, node.size_of("d"))
        await node.eventually(5, lambda: (node.mountpoint / "same").stat().st_mtime)


async def test_changes_through_the_mount_show_at_once(node: Node) -> None:
    async with node.running():

        def use() -> None:
            file = node.mountpoint / "f"
            for turn in range(50):
                file.write_bytes(b"x" * turn)
                assert file.stat().st_size == turn
                os.utime(file, (turn, turn))
                assert file.stat().st_mtime == turn
                file.rename(node.mountpoint / "g")
                assert not file.exists()
                (node.mountpoint / "g").unlink()
                assert not (node.mountpoint / "g").exists()

        await node.call(use)


async def test_an_expired_lock_that_was_released_is_gone(node: Node) -> None:
    await node.elsewhere(Mkdir(b"priv"), Mkdir(b"priv/lock"), Mkdir(b"priv/lock/x"))
    async with node.running():
        lock = node.mountpoint / "priv/lock/x"
        assert await node.call(lock.is_dir)
        assert await node.call(refusal, os.utime, lock, (0, 0)) == EACCES
        await node.elsewhere(Delete(b"priv/lock/x"))
        await node.eventually(False, lock.exists)


async def test_requests_under_way_are_answered_before_the_mount_ends(node: Node) -> None:
    may_go_on, is_under_way = Promise[None](), trio.Event()
    submit = node.driver.submit

    async def slowly(operation: Operation) -> int:
        is_under_way.set()
        await may_go_on
        return await submit(operation)

    node.driver.submit = slowly  # type: ignore[method-assign]
    operations = PmxcfsOperations(node.driver, (), gid=GID)
    async with session.mounted(operations, node.mountpoint) as mount, trio.open_nursery() as tasks:
        tasks.start_soon(mount.serve)
        tasks.start_soon(_mkdir, node, [])
        await is_under_way.wait()
        mount.stop()
        may_go_on.keep(None)
    assert node.driver.replica.memdb.tree.find(b"d") is not None


async def test_a_request_that_is_never_answered_does_not_keep_the_mount(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWERING_S_MAX", 0.01)
    is_under_way = trio.Event()

    async def never(operation: Operation) -> int:
        is_under_way.set()
        await Promise[None]()
        raise OperationError(EACCES)

    node.driver.submit = never  # type: ignore[method-assign]
    operations = PmxcfsOperations(node.driver, (), gid=GID)
    outcomes: list[int] = []
    async with (
        trio.open_nursery() as callers,
        session.mounted(operations, node.mountpoint) as mount,
        trio.open_nursery() as tasks,
    ):
        tasks.start_soon(mount.serve)
        callers.start_soon(_mkdir, node, outcomes)
        await is_under_way.wait()
        mount.stop()
    assert outcomes == [1]
    assert mount_id(node.mountpoint) is None


async def _mkdir(node: Node, outcomes: list[int]) -> None:
    """Make a directory in another process: a thread of ours could not be killed in there."""
    command = ["mkdir", str(node.mountpoint / "d")]
    ended = await trio.run_process(command, check=False, capture_stderr=True)
    outcomes.append(ended.returncode)


async def test_an_error_in_the_block_unmounts_too(node: Node) -> None:
    operations = PmxcfsOperations(node.driver, (), gid=GID)
    with pytest.raises(ZeroDivisionError):
        async with session.mounted(operations, node.mountpoint):
            raise ZeroDivisionError
    assert mount_id(node.mountpoint) is None
