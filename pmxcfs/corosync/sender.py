"""Gives own messages to corosync, in order and one at a time, without ever blocking the loop."""

from collections.abc import Callable, Sequence
from enum import Enum, auto

import trio
from structlog.typing import FilteringBoundLogger

from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.corosync.handle import Code, CorosyncError, in_worker
from pmxcfs.corosync.outbox import Outbox
from pmxcfs.corosync.restarts import Timing
from pmxcfs.tallies import Traffic

RETRY_S_MIN = 0.005
"""The first wait after corosync was busy; each further one is twice as long, within a bound."""


class Obstacle(Enum):
    """Why the first waiting message cannot be sent at this moment."""

    NOTHING_WAITS = auto()
    TOO_MANY_UNDER_WAY = auto()
    COROSYNC_IS_BUSY = auto()
    COROSYNC_DOES_NOT_READ = auto()
    NEEDS_PIECES = auto()


class Sender:
    """The sending half of a group's member.

    Messages are accepted while we are a member; all others, and those that could not be sent, are
    handed to ``on_failure``, never from within ``put``.

    Args:
        on_failure: takes messages that will not be delivered, in order.
        log: the logger of the group's domain.
        timing: how long to wait for a corosync that takes nothing.
    """

    def __init__(
        self,
        on_failure: Callable[[Sequence[bytes]], None],
        log: FilteringBoundLogger,
        timing: Timing,
    ) -> None:
        self._on_failure = on_failure
        self._log = log
        self._timing = timing
        self._outbox = Outbox()
        self._refused: list[bytes] = []
        self._sent = 0
        self._sent_bytes = 0
        self._retries = 0
        self._given_back = 0
        self._is_open = False
        self._handle: CpgHandle | None = None
        self._retry_s = RETRY_S_MIN
        self._progress_s = 0.0
        self._news = trio.Event()
        self._refusals = trio.Event()

    @property
    def has_waiting(self) -> bool:
        """Whether a message waits for its turn."""
        return bool(self._outbox)

    def put(self, data: bytes) -> None:
        """Send a message, at once if it is its turn. Never blocks."""
        if not self._is_open:
            self._refuse([data])
            return
        is_first = not self._outbox
        self._outbox.put(data)
        if is_first and self._handle is not None:
            self._send_available(self._handle)
        if self._outbox:
            self._news.set()

    def open(self) -> None:
        """We are a member."""
        self._is_open = True

    def close(self) -> None:
        """We are no longer a member, or about to leave: what waits is not sent any more."""
        self._is_open = False
        self._refuse(self._outbox.take_back())

    def note_delivered(self) -> None:
        """An own message came back."""
        self._outbox.note_delivered()
        if self._outbox:
            self._news.set()

    def traffic(self, delivered: int) -> Traffic:
        """Return the counts of what was sent; what was delivered the caller knows."""
        return Traffic(
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            delivered=delivered,
            retries=self._retries,
            given_back=self._given_back,
            waiting=len(self._outbox),
            under_way=self._outbox.under_way,
        )

    def take_refused(self) -> list[bytes]:
        """Close for good as far as this connection goes; return what it did not send."""
        self.close()
        self._outbox.forget_under_way()
        refused, self._refused = self._refused, []
        return refused

    async def report_refusals(self) -> None:
        """Tell what was refused, whenever something is. Runs until cancelled."""
        while True:
            await self._refusals.wait()
            self._refusals = trio.Event()
            refused, self._refused = self._refused, []
            if refused:
                self._on_failure(refused)

    async def run(self, handle: CpgHandle) -> None:
        """Send over this connection. Runs until cancelled."""
        self._handle = handle
        try:
            await self._run(handle)
        finally:
            self._handle = None

    async def _run(self, handle: CpgHandle) -> None:
        while True:
            obstacle = self._send_available(handle)
            while obstacle is Obstacle.NEEDS_PIECES:
                obstacle = await self._send_in_pieces(handle)
            if obstacle is Obstacle.NOTHING_WAITS:
                await self._await_news()
                self._note_progress()
                continue
            with trio.move_on_at(self._progress_s + self._timing.stall_s_max) as patience:
                await self._wait_out(obstacle, handle)
            if patience.cancelled_caught:
                self._give_up()

    def _send_available(self, handle: CpgHandle) -> Obstacle:
        """Send until something is in the way."""
        while self._outbox:
            if not self._outbox.has_room:
                return Obstacle.TOO_MANY_UNDER_WAY
            data = self._outbox.start()
            try:
                is_sent = handle.multicast_at_once(data)
            except CorosyncError as error:
                self._outbox.undo_start(data)
                if error.code == Code.TRY_AGAIN:
                    self._retries += 1
                    return Obstacle.COROSYNC_IS_BUSY
                self._give_up_on(error)
                continue
            if not is_sent:
                self._outbox.undo_start(data)
                if handle.needs_pieces(data):
                    return Obstacle.NEEDS_PIECES
                return Obstacle.COROSYNC_DOES_NOT_READ
            self._note_sent(data)
        return Obstacle.NOTHING_WAITS

    async def _send_in_pieces(self, handle: CpgHandle) -> Obstacle:
        """Send a message that the library sends piece by piece, waiting for each; then the rest.

        Such a message cannot be taken back, so nobody may say that it failed before the connection
        is cut. What waits behind it is given back in time.
        """
        data = self._outbox.start()
        failure: CorosyncError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give_up_in_time)
            try:
                await in_worker(handle.multicast, data)
            except CorosyncError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is None:
            self._note_sent(data)
        else:
            self._outbox.undo_start(data)
            if failure.code == Code.TRY_AGAIN and self._is_open:
                self._retries += 1
                return Obstacle.COROSYNC_IS_BUSY
            self._give_up_on(failure)
        return self._send_available(handle)

    async def _give_up_in_time(self) -> None:
        while True:
            await trio.sleep(self._timing.stall_s_max)
            if self._outbox:
                self._give_up()

    async def _wait_out(self, obstacle: Obstacle, handle: CpgHandle) -> None:
        if obstacle is Obstacle.COROSYNC_DOES_NOT_READ:
            await trio.lowlevel.wait_writable(handle.fd)
            return
        if obstacle is Obstacle.TOO_MANY_UNDER_WAY:
            await self._await_news()
            return
        with trio.move_on_after(self._retry_s):
            await self._await_news()
        self._retry_s = min(2 * self._retry_s, self._timing.retry_s_max)

    async def _await_news(self) -> None:
        """Wait for a new message, or for the delivery of an old one while others wait."""
        self._news = trio.Event()
        await self._news.wait()

    def _note_sent(self, data: bytes) -> None:
        self._sent += 1
        self._sent_bytes += len(data)
        self._note_progress()

    def _note_progress(self) -> None:
        self._progress_s, self._retry_s = trio.current_time(), RETRY_S_MIN

    def _give_up(self) -> None:
        """Give everything back that waits; the order of what is sent later does not suffer."""
        waiting = self._outbox.take_back()
        self._log.warning(
            "corosync takes no messages, giving them back",
            messages=len(waiting),
            waited_s=self._timing.stall_s_max,
        )
        self._refuse(waiting)

    def _give_up_on(self, error: CorosyncError) -> None:
        """Give the first message back, or all of them if the connection is lost."""
        is_lost = error.code in (Code.LIBRARY, Code.BAD_HANDLE)
        self._is_open &= not is_lost
        failed = self._outbox.take_back() if is_lost else [self._outbox.drop_next()]
        self._log.warning("could not send", messages=len(failed), error=str(error))
        self._refuse(failed)

    def _refuse(self, messages: Sequence[bytes]) -> None:
        if messages:
            self._given_back += len(messages)
            self._refused += messages
            self._refusals.set()
