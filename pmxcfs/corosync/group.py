"""Keeps us a member of one closed process group for as long as the daemon runs."""

import os
from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio

from pmxcfs.corosync.cpg import CpgEvent, CpgHandle
from pmxcfs.corosync.handle import PIECE, Code, CorosyncError, ask_in_time, close_in_time, open_told
from pmxcfs.corosync.restarts import Restarts, Timing, Trouble
from pmxcfs.corosync.sender import Sender
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.tallies import Traffic
from pmxcfs.turns import TURN_S

DCDB_GROUP = b"pve_dcdb_v1\0"
"""The group of the configuration tree. The NUL is part of the name: without it, another group."""

KVSTORE_GROUP = b"pve_kvstore_v1\0"
"""The group of the volatile state."""

DURABLE_GROUP = b"pmxcfs_durable_v1\0"
"""The group in which our nodes ask each other what is on their disks."""


class CpgGroup:
    """One group, as the driver sees it: send, leave, and a stream of events.

    ``Connected`` comes just before each attempt to join, ``Disconnected`` when it has failed, when
    the connection is lost and when we have left; all other events lie between the two. Messages
    sent while we are not a member come back as ``SendFailed``. A message that was sent but not
    delivered before ``Disconnected`` may or may not reach the others.

    Args:
        name: the group's name, every byte of it.
        sink: takes events, some at a time. It is called from ``run``'s tasks and ``hear`` only,
            so never from within ``multicast`` or ``leave``, both of which it may call.
        log_domain: whose log lines these are.
        timing: how patient to be; tests are less so.
        admission: awaited before each attempt to join; returns when we are fit to be a member.

    Source: docs/PROTOCOL.md, "corosync".
    """

    def __init__(
        self,
        name: bytes,
        sink: Callable[[Sequence[GroupEvent]], None],
        *,
        log_domain: str = "dcdb",
        timing: Timing | None = None,
        admission: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        self._name = name
        self._sink = sink
        self._timing = timing or Timing()
        self._admission = admission
        self._log = structlog.get_logger(log_domain)
        self._restarts = Restarts(self._log, self._timing)
        self._sender = Sender(self._report_failures, self._log, self._timing)
        self._leave_asked = trio.Event()
        self._receiving = trio.CancelScope()
        self._handle: CpgHandle | None = None
        self._is_member = False
        self._is_gone_for_good = False
        self._delivered = 0

    @property
    def traffic(self) -> Traffic:
        """What the group has carried so far."""
        return self._sender.traffic(self._delivered)

    @property
    def trouble(self) -> Trouble | None:
        """What keeps us from being a member."""
        return self._restarts.trouble

    @property
    def descriptor(self) -> int:
        """See ``surroundings.News``: what waits to be sent needs the event loop."""
        return -1 if self._handle is None or self._sender.has_waiting else self._handle.fd

    def hear(self) -> None:
        """See ``surroundings.News``."""
        assert self._handle is not None, "only what has a descriptor can be heard"
        try:
            is_in = self._take_turn(self._handle)
        except CorosyncError:
            self._handle = None  # our own task meets it as well, and knows what to do
            return
        if not is_in:
            self._handle = None
            self._receiving.cancel()

    def multicast(self, data: bytes) -> None:
        """Send to all members, ourselves included; never blocks. A failure comes as an event."""
        self._sender.put(data)

    def leave(self, *, for_good: bool) -> None:
        """Leave, and join again unless ``for_good``; never blocks. What is not sent yet fails."""
        self._is_gone_for_good |= for_good
        if not for_good and not self._leave_asked.is_set():
            self._restarts.note_left()
        self._sender.close()
        self._leave_asked.set()

    async def run(self) -> None:
        """Be a member whenever possible. Runs until cancelled, then leaves."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sender.report_refusals)
            while not self._is_gone_for_good:
                await self._restarts.turn()
                await self._admission()
                if not self._is_gone_for_good:  # that may have come while we waited
                    await self._attempt()

    async def _attempt(self) -> None:
        """Be a member once: until we have left or corosync is lost.

        Every time over a new connection: one that has left a group cannot join it again. Corosync
        (3.1.7 to 3.1.10, notify_lib_joinlist) forgets to note that the leaving is over and
        answers EXIST for ever.
        """
        handle = CpgHandle()
        try:
            await open_told(handle, self._timing.answer_s_max, self._restarts.note_silence)
            await self._be_member(handle)
        except* CorosyncError as failures:
            self._restarts.note_failure(_first(failures))
        finally:
            if not await close_in_time(handle, self._timing.close_s_max):
                self._log.warning("corosync does not answer, cutting the connection")

    async def _be_member(self, handle: CpgHandle) -> None:
        self._leave_asked = trio.Event()
        self._sink([Connected(handle.me)])
        try:
            await self._persist(handle, handle.join, self._timing.answer_s_max)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sender.run, handle)
                nursery.start_soon(self._leave_when_asked, handle)
                await self._receive(handle)
                nursery.cancel_scope.cancel()
        finally:
            self._is_member = False
            self._sink([*map(SendFailed, self._sender.take_refused()), Disconnected()])

    async def _receive(self, handle: CpgHandle) -> None:
        """Hand on what the group tells us, until it tells us that we are out."""
        self._handle, is_in = handle, True
        try:
            with trio.CancelScope() as self._receiving:
                while is_in:
                    await trio.lowlevel.wait_readable(handle.fd)
                    is_in = self._take_turn(handle)
        finally:
            self._handle = None

    def _take_turn(self, handle: CpgHandle) -> bool:
        """Hand on what is there, piece by piece, for one turn at most; false when we are out."""
        end_s = trio.current_time() + TURN_S
        is_in, has_more = True, True
        while is_in and has_more:
            events = handle.dispatch()
            if events:
                is_in, count = self._account_for(events, handle)
                self._sink(events[:count])
            has_more = len(events) == PIECE and trio.current_time() < end_s
        return is_in

    def _account_for(self, events: Sequence[CpgEvent], handle: CpgHandle) -> tuple[bool, int]:
        """Keep track of our membership and of own messages.

        Returns:
            Whether we are still in, and how many of the events are for us: corosync goes on with
            the messages of the others over the connection of one that has left.
        """
        for place, event in enumerate(events):
            match event:
                case Delivered(sender):
                    self._delivered += 1
                    if sender == handle.me:
                        self._sender.note_delivered()
                case ConfigurationChange(members):
                    if handle.me in members:
                        self._note_member()
                    elif self._is_member:
                        return False, place + 1
        return True, len(events)

    def _note_member(self) -> None:
        if not self._is_member:
            self._is_member = True
            self._restarts.note_success()
            self._log.info(
                "joined the group", group=self._name.rstrip(b"\0").decode(), pid=os.getpid()
            )
            if not self._leave_asked.is_set():
                self._sender.open()

    async def _leave_when_asked(self, handle: CpgHandle) -> None:
        await self._leave_asked.wait()
        self._log.info("leaving the group", for_good=self._is_gone_for_good)
        await self._persist(handle, handle.leave, self._timing.close_s_max)

    async def _persist(
        self, handle: CpgHandle, request: Callable[[bytes], None], within_s: float
    ) -> None:
        """Make a request about the group; repeat it for as long as corosync is busy.

        Raises:
            CorosyncError: TIMEOUT if corosync does not answer at all: the connection is cut.
        """
        began_s, is_told = trio.current_time(), False
        while True:
            try:
                return await ask_in_time(handle, request, self._name, within_s=within_s)
            except CorosyncError as error:
                if error.code != Code.TRY_AGAIN:
                    raise
            waited_s = trio.current_time() - began_s
            if waited_s >= self._timing.answer_s_max and not is_told:
                is_told = True
                self._log.warning(
                    "waiting for corosync, which is forming its ring",
                    request=request.__name__,
                    waited_s=round(waited_s),
                )
            await trio.sleep(self._timing.retry_s_max)

    def _report_failures(self, messages: Sequence[bytes]) -> None:
        self._sink([SendFailed(data) for data in messages])


def _first(failures: BaseExceptionGroup[CorosyncError]) -> CorosyncError:
    """Return one of the failures of a nursery's tasks; they have one cause."""
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, CorosyncError)
    return found
