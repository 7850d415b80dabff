"""Clients of the local service: who publishes values and who reads, through libqb as tools do.

Source: docs/PROTOCOL.md, "IPC".
"""

import ctypes
import os
import struct
from functools import partial

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.clients.session import Session

SERVICE = b"pve2"
BUFFER_BYTES = 1 << 20
WAIT_MS = 8_000

GET_MEMBERS, GET_GUESTS, SET_STATUS, GET_FILE, GET_LOG = 2, 3, 4, 6, 8
LISTS = {
    "members": (GET_MEMBERS, b""),
    "guests": (GET_GUESTS, b""),
    "log": (GET_LOG, struct.pack("<I12x", 0) + b"root@pam\0"),
}
HEADER = struct.Struct("<i4xi4x")
RESPONSE_BYTES = 24
NAME_BYTES = 256


class Part(ctypes.Structure):
    """A piece of memory to send: struct iovec."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class Connection:
    """One connection to the daemon of this node, made when it is needed."""

    def __init__(self) -> None:
        self._qb = ctypes.CDLL("libqb.so.100", use_errno=True)
        self._qb.qb_ipcc_connect.restype = ctypes.c_void_p
        self._qb.qb_ipcc_sendv_recv.restype = ctypes.c_ssize_t
        self._handle: ctypes.c_void_p | None = None
        self._buffer = ctypes.create_string_buffer(BUFFER_BYTES)

    def ask(self, number: int, payload: bytes = b"") -> bytes:
        """Return the payload of the answer; raise OSError if it is an error, or there is none."""
        handle = self._connected()
        message = HEADER.pack(number, HEADER.size + len(payload)) + payload
        part = Part(message, len(message))
        received = self._qb.qb_ipcc_sendv_recv(
            handle, ctypes.byref(part), 1, self._buffer, ctypes.c_size_t(BUFFER_BYTES), WAIT_MS
        )
        if received < 0:
            self._disconnect()
            raise OSError(-received, os.strerror(-received))
        answer = ctypes.string_at(self._buffer, received)
        (error,) = struct.unpack_from("<i", answer, 16) if len(answer) >= RESPONSE_BYTES else (0,)
        if error < 0:
            raise OSError(-error, os.strerror(-error))
        return answer[RESPONSE_BYTES:]

    def _connected(self) -> ctypes.c_void_p:
        if self._handle is None:
            handle = self._qb.qb_ipcc_connect(SERVICE, ctypes.c_size_t(BUFFER_BYTES))
            if not handle:
                number = ctypes.get_errno() or 107
                raise OSError(number, os.strerror(number))
            self._handle = ctypes.c_void_p(handle)
        return self._handle

    def _disconnect(self) -> None:
        self._qb.qb_ipcc_disconnect(self._handle)
        self._handle = None


def publish(session: Session) -> None:
    """Publish values under a key of its own.

    Options: every_s.
    """
    connection, count = Connection(), session.order.options["first"]
    key = f"lab-{session.order.client}"
    while session.goes_on(session.order.options["every_s"]):
        count += 1
        token = text.token(session.order.client, count, session.chance.randint(1, 20))
        payload = key.encode().ljust(NAME_BYTES, b"\0") + text.content(token) + b"\0"
        session.call("publish", key, partial(connection.ask, SET_STATUS, payload), value=token)


def ask(session: Session) -> None:
    """Read others' files and the daemon's lists.

    Options: every_s, paths.
    """
    connection, chance = Connection(), session.chance
    while session.goes_on(session.order.options["every_s"]):
        path = chance.choice(session.order.options["paths"])
        session.call("read", path, partial(_read, connection, path), shows=str)
        name = chance.choice(sorted(LISTS))
        session.call("ask", name, partial(connection.ask, *LISTS[name]), shows=_size)


def _read(connection: Connection, path: str) -> str:
    try:
        return text.recognised(connection.ask(GET_FILE, path.encode() + b"\0"))
    except FileNotFoundError:
        return text.ABSENT


def _size(found: bytes) -> str:
    return f"{len(found)} bytes"
