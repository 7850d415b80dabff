"""libqb's IPC server, driven by a poll loop of our own. Only the porter has one.

What libqb does not bound is bounded here: how many connect, how long one may take to say who it is,
how large its buffers are, and how long a response may wait for room. A connection has one request
under way; the next stays in its buffer until that one is answered.

libqb waits without a bound for one byte on a client's socket per request that it has taken. So it
is only let at a socket that is readable, and takes one request at a time (the slow rate).
"""

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, EAGAIN, EINVAL, EMFILE
from types import TracebackType
from typing import TYPE_CHECKING

from pmxcfs._corosync import ffi, lib
from pmxcfs.ipc.clients import Client

if TYPE_CHECKING:
    from pmxcfs._corosync import CData

SERVICE_ID = 1
CONNECTIONS_MAX = 1024
RESERVED_CONNECTIONS = 128
"""How many of them only root can have."""

NEWCOMERS_MAX = 128
"""How many connections may exist that have not said who they are, and for how long."""
NEWCOMER_WAIT_S_MAX = 5.0

BUFFER_BYTES_MAX = 4 * 1024 * 1024
RESPONSE_WAIT_S_MAX = 10.0
RESPONSE_PAUSE_S = 0.05
REQUEST_HEADER_BYTES = 16

Admits = Callable[[int, int], bool]
Receives = Callable[[int, Client, bytes], bytes | None]


class _Watch:
    """A descriptor that libqb wants to be told of."""

    def __init__(self, events: int, context: "CData", function: "CData") -> None:
        self.events, self.context, self.function = events, context, function


class _Connection:
    """A client that was let in."""

    def __init__(self, number: int, pointer: "CData", client: Client) -> None:
        self.number, self.pointer, self.client = number, pointer, client
        self.fd = -1
        self.response = b""
        self.until_s = 0.0


class Door:
    """The server of one service name.

    Args:
        admits: says whether a process with this uid and gid may connect.
        receives: gets number, client and bytes of every request, and returns the response; or
            None, and then ``answer`` ends it.
    """

    def __init__(self, name: str, admits: Admits, receives: Receives) -> None:
        self.poll = select.epoll()
        self._name = name.encode()
        self._admits = admits
        self._receives = receives
        self._watches: dict[int, _Watch] = {}
        self._connections: dict[int, _Connection] = {}
        self._by_address: dict[int, _Connection] = {}
        self._newcomers: dict[int, float] = {}
        self._unsent: dict[int, _Connection] = {}
        self._jobs: list[tuple[CData, CData]] = []
        self._failure: BaseException | None = None
        self._last_number = 0
        self._service: CData | None = None
        self._listener = -1

    def open(self) -> None:
        """Let clients in from now on.

        Raises:
            OSError: the name is taken, or another reason of the kernel.
        """
        global _door
        _door = self
        service = lib.qb_ipcs_create(self._name, SERVICE_ID, lib.QB_IPC_SHM, _SERVICE_HANDLERS)
        lib.qb_ipcs_poll_handlers_set(service, _POLL_HANDLERS)
        code = lib.qb_ipcs_run(service)
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        lib.qb_ipcs_request_rate_limit(service, lib.QB_IPCS_RATE_SLOW)
        self._service = service

    def close(self) -> None:
        """Disconnect all clients and remove what was shared with them."""
        for fd in list(self._newcomers):
            self._call(fd, self._watches[fd], select.EPOLLHUP)
        if self._service is not None:
            lib.qb_ipcs_destroy(self._service)

    def react(self, fd: int, events: int) -> None:
        """Let libqb do what an event of one of its descriptors asks for."""
        if events & select.EPOLLERR:
            events |= select.EPOLLHUP
        watch = self._watches.get(fd)
        if watch is not None:
            self._call(fd, watch, events)
        while self._jobs:
            function, context = self._jobs.pop(0)
            function(context)

    def answer(self, number: int, response: bytes) -> None:
        """Answer the request of a connection and take its next one; harmless if it is gone."""
        connection = self._connections.get(number)
        if connection is not None:
            connection.response = response
            connection.until_s = time.monotonic() + RESPONSE_WAIT_S_MAX
            self._respond(connection)

    def wait_s(self) -> float | None:
        """Return after how long ``tend`` is due; None if nothing waits."""
        if self._unsent:
            return RESPONSE_PAUSE_S
        if self._newcomers:
            return max(min(self._newcomers.values()) - time.monotonic(), 0) + 0.001
        return None

    def tend(self) -> None:
        """Try again to respond where there was no room, and turn away who has waited too long."""
        for connection in list(self._unsent.values()):
            self._respond(connection)
        if self._newcomers:
            now_s = time.monotonic()
            for fd in [fd for fd, until_s in self._newcomers.items() if until_s < now_s]:
                self._call(fd, self._watches[fd], select.EPOLLHUP)

    def _respond_at_once(self, connection: _Connection, response: bytes) -> bool:
        """Respond from within libqb, as it expects; false if that has to be done later."""
        if lib.qb_ipcs_response_send(connection.pointer, response, len(response)) >= 0:
            return True
        connection.response = response
        connection.until_s = time.monotonic() + RESPONSE_WAIT_S_MAX
        self._unsent[connection.number] = connection
        return False

    def _respond(self, connection: _Connection) -> None:
        response = connection.response
        code = lib.qb_ipcs_response_send(connection.pointer, response, len(response))
        if code == -EAGAIN and time.monotonic() < connection.until_s:
            self._unsent[connection.number] = connection
            return
        self._unsent.pop(connection.number, None)
        connection.response = b""
        if code < 0:
            lib.qb_ipcs_disconnect(connection.pointer)
        else:
            self._resume(connection)

    def _resume(self, connection: _Connection) -> None:
        watch = self._watches.get(connection.fd)
        if watch is not None:
            self.poll.modify(connection.fd, watch.events)

    def _call(self, fd: int, watch: _Watch, events: int) -> None:
        code = watch.function(fd, events, watch.context)
        if code < 0 and self._watches.get(fd) is watch:
            self.forget(fd)
        if self._failure is not None:
            raise self._failure

    def watch(self, fd: int, events: int, context: "CData", function: "CData") -> int:
        """Remember what libqb wants to be told of; negative if it is too much."""
        watch = _Watch(events & ~select.POLLNVAL, context, function)
        if fd in self._watches:
            self.poll.modify(fd, watch.events)
            self._watches[fd] = watch
            return 0
        connection = self._by_address.get(_address(context))
        if connection is not None:
            connection.fd = fd
            _keep_urgent_bytes_in_line(fd)
        elif self._listener < 0:
            self._listener = fd
        elif len(self._newcomers) >= NEWCOMERS_MAX:
            return -EMFILE
        else:
            self._newcomers[fd] = time.monotonic() + NEWCOMER_WAIT_S_MAX
        self._watches[fd] = watch
        self.poll.register(fd, watch.events)
        return 0

    def forget(self, fd: int) -> None:
        """Watch a descriptor no longer."""
        self._newcomers.pop(fd, None)
        if self._watches.pop(fd, None) is not None:
            with suppress(OSError):
                self.poll.unregister(fd)

    def later(self, context: "CData", function: "CData") -> None:
        """Call a function of libqb when it is not inside of itself."""
        self._jobs.append((function, context))

    def admit(self, pointer: "CData", uid: int, gid: int) -> int:
        """Return 0 if a client may come in, or the negative errno that it gets."""
        if not self._admits(uid, gid):
            return -EACCES
        room = CONNECTIONS_MAX - (0 if uid == 0 else RESERVED_CONNECTIONS)
        if len(self._connections) >= room:
            return -EAGAIN
        buffer_bytes = lib.qb_ipcs_connection_get_buffer_size(pointer)
        if not REQUEST_HEADER_BYTES <= buffer_bytes <= BUFFER_BYTES_MAX:
            return -EINVAL
        stats = ffi.new("struct qb_ipcs_connection_stats *")
        lib.qb_ipcs_connection_stats_get(pointer, stats, 0)
        self._last_number += 1
        connection = _Connection(
            self._last_number, pointer, Client(int(stats.client_pid), uid, gid, buffer_bytes)
        )
        self._connections[connection.number] = connection
        self._by_address[_address(pointer)] = connection
        return 0

    def receive(self, pointer: "CData", request: "CData", size_bytes: int) -> None:
        """Pass a request on. Its size is what the client says, who can write what it likes."""
        connection = self._by_address[_address(pointer)]
        if not REQUEST_HEADER_BYTES <= size_bytes <= connection.client.buffer_bytes:
            size_bytes = 0
        data = ffi.buffer(request, size_bytes)[:]
        response = self._receives(connection.number, connection.client, data)
        if response is None or not self._respond_at_once(connection, response):
            self.poll.modify(connection.fd, 0)  # a hang-up is told all the same

    def goodbye(self, pointer: "CData") -> None:
        """Forget a connection; libqb frees it."""
        connection = self._by_address.pop(_address(pointer), None)
        if connection is not None:
            del self._connections[connection.number]
            self._unsent.pop(connection.number, None)

    def fail(self, failure: BaseException) -> None:
        """Keep what a callback raised, which must not pass through C, until libqb has returned."""
        self._failure = failure


def _address(pointer: "CData") -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _keep_urgent_bytes_in_line(fd: int) -> None:
    """See to it that a socket that is readable has something that libqb reads.

    Urgent bytes are skipped by an ordinary reader, who then waits for what made it wake.
    """
    with socket.socket(fileno=os.dup(fd)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


_door: Door
"""libqb's poll handlers have no context, so there is one a process."""


def _failed(kind: type[BaseException], failure: BaseException, trace: TracebackType) -> None:
    _door.fail(failure)


@ffi.def_extern(name="pmxcfs_ipc_job_add", error=-EINVAL, onerror=_failed)
def _job_add(priority: int, context: "CData", function: "CData") -> int:
    _door.later(context, function)
    return 0


@ffi.def_extern(name="pmxcfs_ipc_dispatch_set", error=-EINVAL, onerror=_failed)
def _dispatch_set(priority: int, fd: int, events: int, context: "CData", function: "CData") -> int:
    return _door.watch(fd, events, context, function)


@ffi.def_extern(name="pmxcfs_ipc_dispatch_del", error=-EINVAL, onerror=_failed)
def _dispatch_del(fd: int) -> int:
    _door.forget(fd)
    return 0


@ffi.def_extern(name="pmxcfs_ipc_connection_accept", error=-EACCES, onerror=_failed)
def _connection_accept(pointer: "CData", uid: int, gid: int) -> int:
    return _door.admit(pointer, uid, gid)


@ffi.def_extern(name="pmxcfs_ipc_msg_process", error=0, onerror=_failed)
def _msg_process(pointer: "CData", request: "CData", size_bytes: int) -> int:
    _door.receive(pointer, request, size_bytes)
    return 0


@ffi.def_extern(name="pmxcfs_ipc_connection_destroyed", onerror=_failed)
def _connection_destroyed(pointer: "CData") -> None:
    _door.goodbye(pointer)


_SERVICE_HANDLERS = ffi.new(
    "struct qb_ipcs_service_handlers *",
    {
        "connection_accept": lib.pmxcfs_ipc_connection_accept,
        "msg_process": lib.pmxcfs_ipc_msg_process,
        "connection_destroyed": lib.pmxcfs_ipc_connection_destroyed,
    },
)
_POLL_HANDLERS = ffi.new(
    "struct qb_ipcs_poll_handlers *",
    {
        "job_add": lib.pmxcfs_ipc_job_add,
        "dispatch_add": lib.pmxcfs_ipc_dispatch_set,
        "dispatch_mod": lib.pmxcfs_ipc_dispatch_set,
        "dispatch_del": lib.pmxcfs_ipc_dispatch_del,
    },
)
