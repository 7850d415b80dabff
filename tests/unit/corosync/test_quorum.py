"""Quorum is lost when corosync says so or is lost itself, not when we end."""

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from pmxcfs.corosync.handle import Calls, Code, CorosyncError
from pmxcfs.corosync.quorum import Notice, QuorumHandle, QuorumWatch
from pmxcfs.corosync.restarts import Timing
from pmxcfs.identity import NodeId

TIMING = Timing(tick_s=0.01, gap_s=0.01, close_s_max=1.0)
RING = frozenset({NodeId(1), NodeId(2)})


class TellingHandle(QuorumHandle):
    """A connection to a corosync that sees a majority, until the other end of a line closes."""

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"!")
        self._calls = Calls(
            "quorum",
            fd_get=cast(Any, self._tell_fd),
            dispatch=lambda handle, flags: Code.TRY_AGAIN,
            finalize=lambda handle: Code.OK,
        )

    def dispatch(self) -> list[Notice]:
        if self.ours.recv(1) == b"":
            raise CorosyncError(Code.LIBRARY, "quorum_dispatch")
        return [Notice(is_quorate=True, ring=RING)]

    def _initialize(self) -> int:
        return 1

    def _set_up(self, handle_id: int) -> None:
        pass

    def _tell_fd(self, handle_id: int, fd: Any) -> int:  # noqa: ANN401
        fd[0] = self.ours.fileno()
        return Code.OK


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Iterator[TellingHandle]:
    made = TellingHandle()
    monkeypatch.setattr(QuorumWatch, "_make_handle", lambda self: made)
    yield made
    made.ours.close()
    made.theirs.close()


class Told:
    """The reports of a watch, to be waited for."""

    def __init__(self) -> None:
        self.send, self._receive = trio.open_memory_channel[bool](10)
        self.rings: list[frozenset[NodeId]] = []

    def start(self, nursery: trio.Nursery) -> None:
        watch = QuorumWatch(self.send.send_nowait, TIMING, on_ring=self.rings.append)
        nursery.start_soon(watch.run)

    async def next(self) -> bool:
        with trio.fail_after(5):
            return await self._receive.receive()

    def left(self) -> int:
        return self._receive.statistics().current_buffer_used


@pytest.fixture
def told() -> Told:
    return Told()


async def test_our_end_is_no_loss_of_quorum(handle: TellingHandle, told: Told) -> None:
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            told.start(nursery)
            assert await told.next()
            nursery.cancel_scope.cancel()
    assert told.left() == 0
    assert [entry["event"] for entry in logs] == ["node has quorum"]
    assert not handle.is_open


async def test_the_loss_of_corosync_is_a_loss_of_quorum(handle: TellingHandle, told: Told) -> None:
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            told.start(nursery)
            assert await told.next()
            handle.theirs.close()
            assert not await told.next()
            nursery.cancel_scope.cancel()
    assert told.rings[:2] == [RING, frozenset()]
    assert "node lost quorum" in [entry["event"] for entry in logs]
