"""What all connections to corosync share: error numbers, life cycle, and which thread may call.

A connection has two directions. *Requests* (open, join, send, leave, close) share one channel to
corosync, so only one may be under way at a time; except where noted they block, for ever if
corosync hangs, so they belong in a worker thread and have a bound, after which the connection is
cut. *Dispatch* reads another channel, never blocks,
and runs in the thread of the loop, also while a request is under way.
"""

import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, TypeVarTuple, Unpack

import trio

from pmxcfs._corosync import ffi, lib

if TYPE_CHECKING:
    from pmxcfs._corosync import CData

PIECE = 64
"""How many things one dispatch takes in: as many as are worth a transaction of their own, and few
enough to stay below a turn (see ``pmxcfs.turns``) on an idle machine."""

Received = TypeVar("Received")
Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Code(IntEnum):
    """The error numbers of corosync that mean something to us. Success is 1, not 0."""

    OK = 1
    LIBRARY = 2
    TIMEOUT = 5
    TRY_AGAIN = 6
    INVALID_PARAM = 7
    NO_MEMORY = 8
    BAD_HANDLE = 9
    ACCESS = 11
    NOT_EXIST = 12
    NAME_TOO_LONG = 13
    EXIST = 14
    NOT_SUPPORTED = 19
    TOO_BIG = 26
    NO_SECTIONS = 27


_MEANING = {
    Code.LIBRARY: "corosync is not running or the connection broke",
    Code.TIMEOUT: "corosync does not answer, it hangs or its machine is overloaded",
    Code.TRY_AGAIN: "corosync is busy",
    Code.INVALID_PARAM: "corosync refused an argument",
    Code.NO_MEMORY: "no memory, or /dev/shm is full",
    Code.BAD_HANDLE: "the connection is closed",
    Code.ACCESS: "corosync does not allow this user to connect",
    Code.NOT_EXIST: "no such group, key or service",
    Code.EXIST: "we are in the group already",
    Code.TOO_BIG: "the message is too big",
}


class CorosyncError(Exception):
    """A call of a corosync library failed.

    Attributes:
        code: corosync's error number, see ``Code``.
        call: the name of the function.
    """

    def __init__(self, code: int, call: str) -> None:
        super().__init__(code, call)
        self.code = code
        self.call = call

    def __str__(self) -> str:
        if self.code not in set(Code):
            return f"{self.call} failed: {self.code}"
        code = Code(self.code)
        meaning = f", {_MEANING[code]}" if code in _MEANING else ""
        return f"{self.call} failed: {self.code} ({code.name}{meaning})"


def check(code: int, call: str) -> None:
    """Raise CorosyncError unless ``code`` is success."""
    if code != Code.OK:
        raise CorosyncError(code, call)


@dataclass(frozen=True, slots=True)
class Calls:
    """The functions of one library that every connection needs; each returns an error number."""

    service: str
    fd_get: "Callable[[int, CData], int]"
    dispatch: Callable[[int, int], int]
    finalize: Callable[[int], int]


class Handle(ABC, Generic[Received]):
    """One connection to one service of corosync; opened once, closed once.

    Args:
        calls: the library's functions.

    Attributes:
        fd: readable when there is something to dispatch.
    """

    _table_lock: ClassVar[threading.Lock] = threading.Lock()
    """The libraries' tables of handles are not made for two threads that open or close."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._requests = threading.Lock()
        self._id: int | None = None
        self._fault: CorosyncError | None = None
        self._line: socket.socket | None = None
        self.fd = -1

    @property
    def is_open(self) -> bool:
        """Whether corosync knows us."""
        return self._id is not None

    def open(self) -> None:
        """Connect. Blocks.

        Raises:
            CorosyncError: corosync is not there or refused; the handle is closed again.
        """
        with self._requests:
            with self._table_lock:
                self._id = self._initialize()
            try:
                self.fd = self._get_fd(self._id)
                self._line = socket.socket(fileno=os.dup(self.fd))
                self._set_up(self._id)
            except CorosyncError:
                self._finalize()
                raise

    def close(self) -> None:
        """Disconnect, whatever state the connection is in; harmless when closed. Blocks.

        It waits for a request that is under way. From the moment it is called nobody may dispatch.
        """
        with self._requests:
            if self._id is not None:
                self._say_goodbye(self._id)
                self._finalize()

    def cut(self) -> None:
        """Break the connection, as if corosync had died. Never blocks; harmless when closed.

        Requests under way fail instead of blocking for ever. What corosync has not read yet it will
        never read: a message that hangs is not sent hours later.
        """
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def dispatch(self) -> list[Received]:
        """Return what corosync has told us, in order, ``PIECE`` at most. Never blocks.

        Fewer are all that there was; none, and it was a false alarm.

        Raises:
            CorosyncError: the connection is lost, and everything received before was returned.
        """
        handle_id = self._open_id("dispatch")
        received: list[Received] = []
        if self._fault is None:
            _callbacks.received, _callbacks.failure = received, None
            self._fault = self._dispatch_piece(handle_id)
        if self._fault is not None and not received:
            raise self._fault
        return received

    def _dispatch_piece(self, handle_id: int) -> CorosyncError | None:
        """Call the callbacks of what has arrived; return what ended the connection, if so."""
        for _ in range(PIECE):
            code = self._calls.dispatch(handle_id, lib.CS_DISPATCH_ONE_NONBLOCKING)
            if _callbacks.failure is not None:
                raise _callbacks.failure
            if code == Code.TRY_AGAIN:  # nothing more
                return None
            if code != Code.OK:
                return CorosyncError(code, f"{self._calls.service}_dispatch")
        return None

    @abstractmethod
    def _initialize(self) -> int:
        """Connect and return the library's handle."""

    @abstractmethod
    def _set_up(self, handle_id: int) -> None:
        """Ask what is to be known before anything else."""

    def _say_goodbye(self, handle_id: int) -> None:
        """Do what closing should not leave to corosync; failures do not matter."""

    def _open_id(self, what: str) -> int:
        if self._id is None:
            raise CorosyncError(Code.BAD_HANDLE, f"{self._calls.service}_{what}")
        return self._id

    def _get_fd(self, handle_id: int) -> int:
        fd = ffi.new("int *")
        check(self._calls.fd_get(handle_id, fd), f"{self._calls.service}_fd_get")
        return int(fd[0])

    def _finalize(self) -> None:
        """Close; its result does not matter, the library forgets the handle in any case."""
        handle_id, self._id = self._id, None
        if handle_id is not None:
            with self._table_lock:
                self._calls.finalize(handle_id)
        if self._line is not None:
            self._line.close()


class _Callbacks(threading.local):
    """What the C callbacks of the dispatch call under way append to; they do nothing else."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.failure: BaseException | None = None


_callbacks = _Callbacks()


def note_received(value: object) -> None:
    """Keep what a C callback was told; ``dispatch`` returns it."""
    _callbacks.received.append(value)


def callback_failed(
    kind: type[BaseException], failure: BaseException, trace: TracebackType
) -> None:
    """Keep the exception of a C callback; ``dispatch`` raises it. A lost message is no option."""
    _callbacks.failure = failure


async def in_worker(call: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments) -> Result:
    """Make a request that can block. Cancelled, we go on and the worker thread is left behind.

    A thread left behind does not keep the process from exiting.
    """
    return await trio.to_thread.run_sync(
        call, *arguments, abandon_on_cancel=True, limiter=_UNLIMITED
    )


_UNLIMITED = trio.CapacityLimiter(inf)
"""Threads that hang in corosync must not use up the tokens of those that don't."""


async def ask_in_time(
    handle: Handle[Any],
    request: Callable[[Unpack[Arguments]], Result],
    *arguments: *Arguments,
    within_s: float,
) -> Result:
    """Make a request on a connection, which is cut if there is no answer in time.

    Raises:
        CorosyncError: TIMEOUT, or what the request raises.
    """
    with trio.move_on_after(within_s):
        return await in_worker(request, *arguments)
    handle.cut()
    raise CorosyncError(Code.TIMEOUT, f"corosync's {request.__name__}")


async def open_told(handle: Handle[Any], after_s: float, on_late: Callable[[], None]) -> None:
    """Open a connection; tell it, from another thread, if corosync takes long to answer.

    That wait has no bound: there is nothing to cut yet, and trying again would only wait again. It
    ends when corosync answers or dies.
    """

    await in_worker(told_when_late, handle.open, after_s, on_late)


def told_when_late(
    call: Callable[[], Result], after_s: float, on_late: Callable[[], None]
) -> Result:
    """Return what a call returns; call ``on_late``, from another thread, if that takes long."""
    timer = threading.Timer(after_s, on_late)
    timer.daemon = True
    timer.start()
    try:
        return call()
    finally:
        timer.cancel()


async def close_in_time(handle: Handle[Any], within_s: float) -> bool:
    """Close a connection even when cancelled; false if corosync did not answer, and it was cut."""
    with trio.move_on_after(within_s, shield=True):
        await in_worker(handle.close)
        return True
    handle.cut()
    return False
