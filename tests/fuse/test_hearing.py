"""What requests wait for is heard between requests, without a turn of the event loop."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered
from pmxcfs.driver import Driver
from pmxcfs.fuse import lowlevel, session
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.virtual_files import node_links
from pmxcfs.identity import Member, NodeId, Pid
from tests.fuse.test_kernel_memory import GID, Node

ME = Member(NodeId(0), Pid(1))
DELAY_S = 0.005


class LateGroup:
    """A group of one whose messages come back a moment later; it is only heard when told to."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._ours, self._theirs = socket.socketpair()
        self._messages: list[bytes] = []
        self.failure: Exception | None = None
        self.is_heard_in_between = True
        driver.attach(self)
        driver.feed([Connected(ME), ConfigurationChange((ME,), joined=(ME,))])

    @property
    def descriptor(self) -> int:
        return self._ours.fileno() if self.is_heard_in_between else -1

    def multicast(self, data: bytes) -> None:
        self._messages.append(data)
        threading.Timer(DELAY_S, self._theirs.send, (b"!",)).start()

    def leave(self, *, for_good: bool) -> None:
        raise AssertionError("nobody has a reason to")

    def hear(self) -> None:
        self._ours.recv(1)
        if self.failure is not None:
            raise self.failure
        self._driver.feed([Delivered(ME, self._messages.pop(0))])

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._ours)
            self.hear()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(lowlevel, "HEARING_US", 900_000)
    monkeypatch.setattr(lowlevel, "TURN_US", 900_000)
    return Node(tmp_path / "mnt")


@asynccontextmanager
async def mounted(node: Node, group: LateGroup) -> AsyncIterator[session.Mount]:
    operations = PmxcfsOperations(node.driver, node_links("n"), gid=GID)
    async with session.mounted(operations, node.mountpoint) as mount:
        mount.hear_too(group)
        try:
            yield mount
        finally:
            group.close()


async def test_changes_are_answered_though_the_event_loop_does_not_hear_the_group(
    node: Node,
) -> None:
    async with mounted(node, LateGroup(node.driver)) as mount, trio.open_nursery() as nursery:
        nursery.start_soon(mount.serve)
        with trio.fail_after(30):
            for number in range(20):
                await node.call((node.mountpoint / f"{number}").mkdir)
        mount.stop()


async def test_the_event_loop_hears_the_group_when_it_has_to_turn_first(node: Node) -> None:
    group = LateGroup(node.driver)
    group.is_heard_in_between = False
    async with mounted(node, group) as mount, trio.open_nursery() as nursery:
        nursery.start_soon(mount.serve)
        nursery.start_soon(group.run)
        for number in range(20):
            await node.call((node.mountpoint / f"{number}").mkdir)
        mount.stop()
        nursery.cancel_scope.cancel()


async def test_others_wait_no_longer_than_their_bound_for_those_who_wait_for_the_group(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group never answers: the event loop gets its turn all the same, and can be told so."""
    monkeypatch.setattr(lowlevel, "HEARING_US", 2000)
    monkeypatch.setattr(LateGroup, "multicast", lambda self, data: None)
    async with mounted(node, LateGroup(node.driver)) as mount, trio.open_nursery() as nursery:
        nursery.start_soon(mount.serve)
        nursery.start_soon(node.call, _try_to_make, node.mountpoint / "never")
        with trio.fail_after(10):
            while node.driver.caller_count == 0:  # noqa: ASYNC110  (no event)
                await trio.sleep(0.001)
            await trio.sleep(0.1)
        monkeypatch.setattr(session, "ANSWERING_S_MAX", 0.1)
        mount.stop()
        nursery.cancel_scope.cancel()


def _try_to_make(path: Path) -> None:
    with suppress(OSError):
        path.mkdir()


async def test_a_defect_that_shows_while_the_group_is_heard_ends_the_mount(node: Node) -> None:
    group = LateGroup(node.driver)
    group.failure = ZeroDivisionError("a defect")

    async def serve_until_it_shows() -> None:
        async with mounted(node, group) as mount, trio.open_nursery() as nursery:
            nursery.start_soon(node.call, _try_to_make, node.mountpoint / "never")
            await mount.serve()

    with pytest.raises(BaseExceptionGroup) as ended:
        await serve_until_it_shows()
    assert ended.group_contains(ZeroDivisionError)
