"""The sender keeps the order, waits out every obstacle and gives back what it cannot send."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import cast

import pytest
import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.corosync.handle import Code, CorosyncError
from pmxcfs.corosync.outbox import MESSAGES_UNDER_WAY_MAX
from pmxcfs.corosync.restarts import Timing
from pmxcfs.corosync.sender import Sender

PIECE_BYTES = 100
STALL_S = 10.0


class Bell:
    """Wakes whoever waits for something to become true."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = trio.Event()

    async def until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            await self._event.wait()


class FakeCpg:
    """Takes messages as a connection does, or refuses as it is told to."""

    def __init__(self, fd: int, bell: Bell) -> None:
        self.fd = fd
        self.bell = bell
        self.taken: list[bytes] = []
        self.refusals: list[Code] = []
        self.is_reading = True
        self.may_send_pieces = threading.Event()
        self.may_send_pieces.set()

    def needs_pieces(self, data: bytes) -> bool:
        return len(data) > PIECE_BYTES

    def multicast_at_once(self, data: bytes) -> bool:
        if self.needs_pieces(data) or not self.is_reading:
            return False
        self._take(data)
        return True

    def multicast(self, data: bytes) -> None:
        self.may_send_pieces.wait()
        trio.from_thread.run_sync(self._take, data)

    def _take(self, data: bytes) -> None:
        if self.refusals:
            raise CorosyncError(self.refusals.pop(0), "cpg_mcast_joined")
        self.taken.append(data)
        self.bell.ring()


class Rig:
    """A sender that is open, its connection, and what came back as failed."""

    def __init__(self, cpg: FakeCpg) -> None:
        self.cpg = cpg
        self.failed: list[bytes] = []
        log = structlog.get_logger("test")
        self.sender = Sender(self._note_failed, log, Timing(stall_s_max=STALL_S))
        self.sender.open()

    def _note_failed(self, messages: Sequence[bytes]) -> None:
        self.failed += messages
        self.cpg.bell.ring()

    def put(self, *messages: bytes) -> None:
        for data in messages:
            self.sender.put(data)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.sender.run, cast(CpgHandle, self.cpg))
            nursery.start_soon(self.sender.report_refusals)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
async def rig(nursery: trio.Nursery, sockets: tuple[socket.socket, socket.socket]) -> Rig:
    rig = Rig(FakeCpg(sockets[0].fileno(), Bell()))
    nursery.start_soon(rig.run)
    await wait_all_tasks_blocked()
    return rig


def numbered(count: int) -> list[bytes]:
    return [b"m%d" % number for number in range(count)]


async def test_messages_go_out_in_order(rig: Rig) -> None:
    rig.put(*numbered(50))
    await wait_all_tasks_blocked()
    assert rig.cpg.taken == numbered(50)


async def test_only_so_many_go_out_before_the_first_comes_back(rig: Rig) -> None:
    rig.put(*numbered(MESSAGES_UNDER_WAY_MAX + 2))
    await wait_all_tasks_blocked()
    assert len(rig.cpg.taken) == MESSAGES_UNDER_WAY_MAX
    rig.sender.note_delivered()
    await wait_all_tasks_blocked()
    assert rig.cpg.taken == numbered(MESSAGES_UNDER_WAY_MAX + 1)


async def test_a_busy_corosync_is_asked_again_until_it_takes_the_message(
    rig: Rig, autojump_clock: MockClock
) -> None:
    rig.cpg.refusals = [Code.TRY_AGAIN] * 20
    rig.put(b"patient", b"next")
    await trio.sleep(5)
    assert rig.cpg.taken == [b"patient", b"next"]
    assert rig.failed == []


async def test_a_corosync_that_stays_busy_gets_nothing_after_a_while(
    rig: Rig, autojump_clock: MockClock
) -> None:
    rig.cpg.refusals = [Code.TRY_AGAIN] * 10_000
    rig.put(b"one", b"two")
    await trio.sleep(STALL_S - 0.5)
    assert rig.failed == []
    await trio.sleep(1)
    attempts = 10_000 - len(rig.cpg.refusals)
    assert 100 <= attempts <= 110  # every 100 ms, and a little faster at first
    assert rig.failed == [b"one", b"two"]
    rig.cpg.refusals = []
    rig.put(b"three")
    await wait_all_tasks_blocked()
    assert rig.cpg.taken == [b"three"]


async def test_progress_makes_the_others_wait_longer(rig: Rig, autojump_clock: MockClock) -> None:
    rig.put(*numbered(MESSAGES_UNDER_WAY_MAX + 2))
    await trio.sleep(STALL_S - 1)
    rig.sender.note_delivered()
    await trio.sleep(STALL_S - 1)
    assert rig.failed == []
    await trio.sleep(2)
    assert rig.failed == numbered(MESSAGES_UNDER_WAY_MAX + 2)[-1:]


async def test_a_refused_message_comes_back_and_the_next_goes_out(rig: Rig) -> None:
    rig.cpg.refusals = [Code.INVALID_PARAM]
    rig.put(b"bad", b"good")
    await wait_all_tasks_blocked()
    assert (rig.failed, rig.cpg.taken) == ([b"bad"], [b"good"])


async def test_everything_comes_back_when_the_connection_is_lost(rig: Rig) -> None:
    rig.cpg.refusals = [Code.LIBRARY]
    rig.put(b"one", b"two")
    await wait_all_tasks_blocked()
    assert (rig.failed, rig.cpg.taken) == ([b"one", b"two"], [])


async def test_a_full_socket_is_waited_for(
    rig: Rig, sockets: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = sockets
    _fill(ours)
    rig.cpg.is_reading = False
    rig.put(b"patient")
    await wait_all_tasks_blocked()
    assert rig.cpg.taken == []
    rig.cpg.is_reading = True
    _drain(theirs)
    await rig.cpg.bell.until(lambda: rig.cpg.taken == [b"patient"])


def _fill(sock: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            sock.send(b"x" * 4096)


def _drain(sock: socket.socket) -> None:
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sock.recv(1 << 20)


@pytest.mark.parametrize("refusals", [[], [Code.TRY_AGAIN]])
async def test_a_message_of_many_pieces_keeps_its_place(rig: Rig, refusals: list[Code]) -> None:
    large = b"x" * (PIECE_BYTES + 1)
    rig.put(b"before")
    await wait_all_tasks_blocked()
    rig.cpg.refusals = refusals
    rig.put(large, b"after")
    await rig.cpg.bell.until(lambda: len(rig.cpg.taken) == 3)
    assert rig.cpg.taken == [b"before", large, b"after"]


async def test_what_waits_when_we_leave_comes_back(rig: Rig) -> None:
    rig.put(*numbered(MESSAGES_UNDER_WAY_MAX + 2))
    await wait_all_tasks_blocked()
    rig.sender.close()
    rig.put(b"too late")
    await wait_all_tasks_blocked()
    assert rig.failed == [*numbered(MESSAGES_UNDER_WAY_MAX + 2)[-2:], b"too late"]


async def test_what_waits_behind_a_message_in_pieces_that_hangs_is_given_back(
    rig: Rig, autojump_clock: MockClock
) -> None:
    large = b"x" * (PIECE_BYTES + 1)
    rig.cpg.may_send_pieces.clear()
    rig.put(large, b"behind")
    began_s = trio.current_time()
    await rig.cpg.bell.until(lambda: rig.failed == [b"behind"])
    assert trio.current_time() - began_s == STALL_S
    rig.cpg.may_send_pieces.set()
    await rig.cpg.bell.until(lambda: rig.cpg.taken == [large])


async def test_a_message_in_pieces_that_fails_after_we_left_is_not_tried_again(rig: Rig) -> None:
    large = b"x" * (PIECE_BYTES + 1)
    rig.cpg.may_send_pieces.clear()
    rig.cpg.refusals = [Code.TRY_AGAIN]
    rig.put(large)
    await wait_all_tasks_blocked()
    rig.sender.close()
    rig.cpg.may_send_pieces.set()
    await rig.cpg.bell.until(lambda: rig.failed == [large])
    assert rig.cpg.taken == []


async def test_putting_never_reports_a_failure_by_itself(rig: Rig) -> None:
    rig.sender.close()
    rig.put(b"too late")
    assert rig.failed == []
    await wait_all_tasks_blocked()
    assert rig.failed == [b"too late"]


async def test_a_message_whose_turn_it_is_goes_out_at_once(rig: Rig) -> None:
    rig.put(b"now")
    assert rig.cpg.taken == [b"now"]


async def test_after_the_connection_was_lost_nothing_is_accepted(rig: Rig) -> None:
    rig.cpg.refusals = [Code.LIBRARY]
    rig.put(b"one")
    await wait_all_tasks_blocked()
    rig.put(b"two")
    await wait_all_tasks_blocked()
    assert (rig.failed, rig.cpg.taken) == ([b"one", b"two"], [])
