"""Who is killed or interrupted while it waits for the group is let go.

The mount runs in this process, and its group delivers nothing until it is told to; the callers are
processes of their own.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
import trio

from pmxcfs.dfsm.events import Delivered
from pmxcfs.driver import ANSWER_WAIT_S_MAX
from pmxcfs.fuse import interruptions
from pmxcfs.fuse.interruptions import wants_out
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.operations import Create
from tests.fuse.test_kernel_memory import Node

ME = Member(NodeId(0), Pid(1))
GONE_WITHIN_S = ANSWER_WAIT_S_MAX / 3
"""Far from the bound of those who were not interrupted, whatever else this machine does."""

CALLS = {
    "mkdir": "os.mkdir('d')",
    "write": "os.write(os.open('f', os.O_WRONLY), b'text')",
    "synchronous write": "os.write(os.open('f', os.O_WRONLY | os.O_DSYNC), b'text')",
    "truncate": "os.truncate('f', 2)",
    "fsync": "os.fsync(os.open('f', os.O_RDWR))",
    "fsync of a directory": "os.fsync(os.open('.', os.O_RDONLY))",
}

CALLER = """
import errno, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGCHLD, lambda number, frame: print("child", flush=True))
os.chdir(sys.argv[1])
print("asks", flush=True)
try:
    exec(sys.argv[2])
    print("done")
except KeyboardInterrupt:
    print("interrupted")
"""


class HeldGroup:
    """Keeps what is sent until it is asked to deliver it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._held: list[bytes] = []
        self.asked = trio.Event()

    def multicast(self, data: bytes) -> None:
        self._held.append(data)
        self.asked.set()

    def leave(self, *, for_good: bool) -> None:
        raise AssertionError("a standalone node leaves nothing")

    def deliver(self) -> None:
        held, self._held = self._held, []
        self._node.driver.feed([Delivered(ME, data) for data in held])

    async def wait_for_majority(self) -> None:
        self.asked.set()
        await trio.sleep_forever()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "mnt")


@asynccontextmanager
async def held(node: Node) -> AsyncIterator[HeldGroup]:
    await node.elsewhere(Create(b"f"))
    group = HeldGroup(node)
    node.driver.attach(group)
    node.driver.attach_durability(group.wait_for_majority, lambda: None)
    async with node.running():
        yield group


async def start(node: Node, group: HeldGroup, call: str) -> trio.Process:
    """Start a process that makes a call; return once its request waits."""
    command = [sys.executable, "-c", CALLER, str(node.mountpoint), CALLS[call]]
    process = await trio.lowlevel.open_process(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    await group.asked.wait()
    return process


async def words_of(process: trio.Process) -> list[str]:
    """Wait for its end; return what it said."""
    assert process.stdout is not None
    with trio.fail_after(GONE_WITHIN_S):
        said = b"".join([piece async for piece in process.stdout])
        await process.wait()
    return said.decode().split()


@pytest.mark.parametrize("call", CALLS)
async def test_a_killed_caller_is_gone_long_before_the_bound(node: Node, call: str) -> None:
    async with held(node) as group:
        process = await start(node, group, call)
        process.send_signal(signal.SIGKILL)
        assert await words_of(process) == ["asks"]
        assert process.returncode == -signal.SIGKILL
        assert node.driver.caller_count == 0


@pytest.mark.parametrize("call", ["mkdir", "fsync"])
async def test_ctrl_c_gives_the_caller_its_prompt_back(node: Node, call: str) -> None:
    async with held(node) as group:
        process = await start(node, group, call)
        process.send_signal(signal.SIGINT)
        assert await words_of(process) == ["asks", "interrupted"]


async def test_a_child_that_ends_takes_nobody_out_of_a_change(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def looking(thread: int) -> bool:
        seen.append(wants_out(thread))
        return seen[-1]

    monkeypatch.setattr(interruptions, "GRACE_S", 0.0)
    monkeypatch.setattr(interruptions, "wants_out", looking)
    async with held(node) as group:
        process = await start(node, group, "mkdir")
        process.send_signal(signal.SIGCHLD)
        with trio.fail_after(GONE_WITHIN_S):
            while len(seen) < 2:  # noqa: ASYNC110  (the kernel has no event for us)
                await trio.sleep(0.05)
        assert not any(seen)
        group.deliver()
        assert await words_of(process) == ["asks", "child", "done"]


async def test_who_is_killed_after_a_harmless_signal_is_gone_too(node: Node) -> None:
    """The kernel tells of one signal only."""
    async with held(node) as group:
        process = await start(node, group, "mkdir")
        process.send_signal(signal.SIGCHLD)
        process.send_signal(signal.SIGKILL)
        assert await words_of(process) == ["asks"]


async def test_what_was_asked_by_a_killed_caller_is_done_when_it_had_been_sent(node: Node) -> None:
    async with held(node) as group:
        process = await start(node, group, "mkdir")
        process.send_signal(signal.SIGKILL)
        await words_of(process)
        group.deliver()
        assert node.driver.replica.memdb.tree.find(b"d") is not None


def test_a_thread_that_is_not_to_be_seen_wants_out() -> None:
    assert wants_out(0)
    assert not wants_out(os.getpid())
