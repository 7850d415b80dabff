"""The kernel reads from its own pages, and none of them is older than the tree.

The mount runs in this process, its memory lasts an hour, and changes come past the mount as from
another node.
"""

import mmap
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from errno import EACCES, ENOSPC
from pathlib import Path

import pytest
import trio

from pmxcfs.fuse import attributes
from pmxcfs.memdb import limits
from pmxcfs.memdb.operations import Create, Delete, Operation, Rename, SetMtime, Write
from pmxcfs.replica import QuorumChanged
from tests.fuse.calls import refusal
from tests.fuse.test_kernel_memory import HOUR_S, WITHIN_S, Node

MAPPER = """
import mmap, os, sys
path, flags, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def errno_of(call):
    try:
        call()
    except OSError as error:
        return error.errno
    return 0
opened = os.open(path, flags)
access = mmap.PROT_READ | (mmap.PROT_WRITE if flags & os.O_RDWR else 0)
mapping = mmap.mmap(opened, os.fstat(opened).st_size, kind, access)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(attributes, "CACHE_S", HOUR_S)
    return Node(tmp_path / "mnt")


class Mapper:
    """Another process with a file mapped: who touches a mapping here keeps us from answering."""

    def __init__(self, path: Path, flags: int, kind: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", MAPPER, str(path), str(flags), str(kind)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, expression: str) -> str:
        """Have it evaluate an expression."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        """Have it close everything."""
        self._process.communicate(timeout=WITHIN_S)
        assert self._process.returncode == 0


def content(node: Node, name: str) -> bytes:
    entry = node.driver.replica.memdb.tree.find(name.encode())
    assert entry is not None
    return entry.data


@asynccontextmanager
async def opened_in(node: Node, name: str, flags: int = os.O_RDONLY) -> AsyncIterator[int]:
    """Open a file of the mount, in a thread: this one has to answer."""
    opened = await node.call(os.open, node.mountpoint / name, flags)
    try:
        yield opened
    finally:
        await node.call(os.close, opened)


@contextmanager
def descriptor(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    opened = os.open(path, flags)
    try:
        yield opened
    finally:
        os.close(opened)


async def test_what_was_read_once_is_not_asked_for_again(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        file = node.mountpoint / "f"
        assert await node.call(file.read_bytes) == b"one"
        entry = node.driver.replica.memdb.tree.find(b"f")
        assert entry is not None
        object.__setattr__(entry, "data", b"???")  # behind everybody's back
        for _ in range(3):
            assert await node.call(file.read_bytes) == b"one"


@pytest.mark.parametrize("mtime", [None, 7])
async def test_texts_of_one_length_and_one_second_are_told_apart(
    node: Node, mtime: int | None
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"000"))
    async with node.running(), opened_in(node, "f") as opened:
        for turn in range(1, 200):
            text = b"%03d" % turn
            change: list[Operation] = [Write(b"f", 0, text)]
            if mtime is not None:
                change.append(SetMtime(b"f", mtime))
            await node.elsewhere(*change)
            await node.eventually(text, lambda: os.pread(opened, 10, 0))
            assert await node.call((node.mountpoint / "f").read_bytes) == text


@pytest.mark.parametrize("kind", [mmap.MAP_SHARED, mmap.MAP_PRIVATE])
async def test_a_mapping_shows_what_another_node_wrote_once_the_file_is_looked_at(
    node: Node, kind: int
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        mapper = await node.call(Mapper, node.mountpoint / "f", os.O_RDONLY, kind)
        assert await node.call(mapper.ask, "mapping[:]") == "b'one'"
        await node.elsewhere(Write(b"f", 0, b"two"))
        await node.eventually("b'two'", lambda: mapper.ask("os.stat(path) and mapping[:]"))
        await node.call(mapper.end)


async def test_what_is_written_to_a_shared_mapping_is_in_the_tree_when_it_is_synced_or_closed(
    node: Node,
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"x" * 5000))
    async with node.running():
        mapper = await node.call(Mapper, node.mountpoint / "f", os.O_RDWR, mmap.MAP_SHARED)
        await node.call(mapper.ask, "mapping.__setitem__(slice(4998, 5000), b'yz')")
        assert await node.call(mapper.ask, "errno_of(mapping.flush)") == "0"
        assert content(node, "f") == b"x" * 4998 + b"yz"
        await node.call(mapper.ask, "mapping.__setitem__(0, 97)")
        assert await node.call(mapper.ask, "os.pread(opened, 2, 0)") == "b'ax'"
        await node.call(mapper.end)
        assert content(node, "f") == b"a" + b"x" * 4997 + b"yz"


async def test_a_refused_write_does_not_stay_in_the_kernels_pages(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    async with node.running():

        def write(opened: int) -> None:
            assert os.pread(opened, 10, 0) == b"text"
            assert refusal(os.pwrite, opened, b"lost", 0) == EACCES
            assert os.pread(opened, 10, 0) == b"text"
            assert refusal(os.pwrite, opened, b"more", 4) == EACCES
            assert os.pread(opened, 10, 0) == b"text"
            assert os.fstat(opened).st_size == 4

        async with opened_in(node, "f", os.O_RDWR) as opened:
            await node.call(os.pread, opened, 10, 0)
            node.driver.feed([QuorumChanged(False)])
            await node.call(write, opened)


async def test_a_write_for_which_there_is_no_room_does_not_stay_in_the_kernels_pages(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    monkeypatch.setattr(limits, "CONTENT_BYTES_MAX", 4)

    def write(opened: int) -> None:
        assert os.pread(opened, 10, 0) == b"text"
        for offset in (0, 4, 4096):
            assert refusal(os.pwrite, opened, b"too long", offset) == ENOSPC
            assert os.pread(opened, 10, 0) == b"text"
            assert os.fstat(opened).st_size == 4
        assert refusal(os.ftruncate, opened, 5) == ENOSPC
        assert os.fstat(opened).st_size == 4

    async with node.running(), opened_in(node, "f", os.O_RDWR) as opened:
        await node.call(write, opened)
    assert content(node, "f") == b"text"


async def test_what_was_written_to_a_mapping_in_vain_does_not_stay(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"text"))
    async with node.running():
        mapper = await node.call(Mapper, node.mountpoint / "f", os.O_RDWR, mmap.MAP_SHARED)
        await node.call(mapper.ask, "mapping.__setitem__(slice(4), b'lost')")
        node.driver.feed([QuorumChanged(False)])
        assert await node.call(mapper.ask, "errno_of(mapping.flush)") == str(EACCES)
        await node.eventually("b'text'", lambda: mapper.ask("os.pread(opened, 10, 0)"))
        assert await node.call(mapper.ask, "mapping[:]") == "b'text'"
        await node.call(mapper.end)
        assert content(node, "f") == b"text"


async def test_o_trunc_cuts_what_the_kernel_remembers_of_any_file(node: Node) -> None:
    async with node.running():

        def cut() -> None:
            for name in ("f", "g"):
                file = node.mountpoint / name
                file.write_bytes(b"a long text")
                assert file.read_bytes() == b"a long text"
                with descriptor(file, os.O_RDWR | os.O_TRUNC) as opened:
                    os.write(opened, b"cut")
                assert file.read_bytes() == b"cut"
                assert content(node, name) == b"cut"

        await node.call(cut)


async def test_what_is_appended_here_goes_to_the_end_that_another_node_made(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one,"))
    async with node.running():
        async with opened_in(node, "f", os.O_RDWR | os.O_APPEND) as opened:
            await node.call(os.write, opened, b"two,")
            await node.elsewhere(Write(b"f", 8, b"three,"))
            await node.eventually(b"one,two,three,", lambda: os.pread(opened, 100, 0))
            await node.call(os.write, opened, b"four")
        assert content(node, "f") == b"one,two,three,four"


async def test_a_file_cut_elsewhere_ends_there_and_grows_with_zeros(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"x" * 9000))
    async with node.running():
        file = node.mountpoint / "f"
        assert await node.call(file.read_bytes) == b"x" * 9000
        await node.elsewhere(Write(b"f", 5000, b"", truncate=True))
        await node.eventually(b"x" * 5000, file.read_bytes)
        await node.call(os.truncate, file, 9000)
        assert await node.call(file.read_bytes) == b"x" * 5000 + bytes(4000)


async def test_pages_of_a_file_that_is_replaced_elsewhere_stay_with_who_has_it_open(
    node: Node,
) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"old"))
    async with node.running(), opened_in(node, "f") as opened:
        await node.elsewhere(Create(b"g"), Write(b"g", 0, b"new"), Rename(b"g", b"f"))
        await node.eventually(b"new", (node.mountpoint / "f").read_bytes)
        assert await node.call(os.pread, opened, 10, 0) == b"old"
        await node.elsewhere(Delete(b"f"))
        assert await node.call(os.pread, opened, 10, 0) == b"old"


async def test_the_cost_of_a_change_of_quorum_is_no_wrong_text(node: Node) -> None:
    await node.elsewhere(Create(b"f"), Write(b"f", 0, b"one"))
    async with node.running():
        file = node.mountpoint / "f"
        for is_quorate in (False, True):
            assert await node.call(file.read_bytes) == b"one"
            node.driver.feed([QuorumChanged(is_quorate)])
        await node.elsewhere(Write(b"f", 0, b"two"))
        with trio.fail_after(10):
            await node.eventually(b"two", file.read_bytes)
