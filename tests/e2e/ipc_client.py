"""Talks to a daemon's IPC service as management tools do; run on a node, or imported.

It needs libqb and nothing else, so that it can be sent to a node as text.
"""

import ctypes
import json
import os
import struct
import sys

SERVICE = b"pve2"
MESSAGE_BYTES_MAX = 1 << 20
WAIT_MS = 10_000

SET_STATUS = 4
LOG = 7

HEADER = struct.Struct("<i4xi4x")
RESPONSE_BYTES = 24

qb = ctypes.CDLL("libqb.so.100", use_errno=True)
qb.qb_ipcc_connect.restype = ctypes.c_void_p
qb.qb_ipcc_sendv_recv.restype = ctypes.c_ssize_t
qb.qb_ipcc_sendv.restype = ctypes.c_ssize_t
qb.qb_ipcc_recv.restype = ctypes.c_ssize_t


class Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class Connection:
    """One client of a service; ``buffer_bytes`` bounds requests and responses."""

    def __init__(self, service: bytes = SERVICE, buffer_bytes: int = MESSAGE_BYTES_MAX) -> None:
        connection = qb.qb_ipcc_connect(service, ctypes.c_size_t(buffer_bytes))
        if not connection:
            raise OSError(ctypes.get_errno(), "cannot connect")
        self._connection = ctypes.c_void_p(connection)
        self._buffer = ctypes.create_string_buffer(max(buffer_bytes, MESSAGE_BYTES_MAX))

    def ask(self, number: int, payload: bytes = b"", size: int | None = None) -> tuple[int, bytes]:
        """Return errno (0 or positive) and payload of the response; ``size`` may be a lie."""
        part = self._part(number, payload, size)
        received = qb.qb_ipcc_sendv_recv(
            self._connection,
            ctypes.byref(part),
            1,
            self._buffer,
            ctypes.c_size_t(len(self._buffer)),
            WAIT_MS,
        )
        return self._response(received)

    def send(self, number: int, payload: bytes = b"") -> None:
        """Send a request and do not wait for its response."""
        part = self._part(number, payload, None)
        sent = qb.qb_ipcc_sendv(self._connection, ctypes.byref(part), 1)
        if sent < 0:
            raise OSError(-sent, "cannot send")

    def receive(self) -> tuple[int, bytes]:
        """Return the next response."""
        received = qb.qb_ipcc_recv(
            self._connection, self._buffer, ctypes.c_size_t(len(self._buffer)), WAIT_MS
        )
        return self._response(received)

    def close(self) -> None:
        qb.qb_ipcc_disconnect(self._connection)

    def _part(self, number: int, payload: bytes, size: int | None) -> Part:
        message = HEADER.pack(number, HEADER.size + len(payload) if size is None else size)
        return Part(message + payload, HEADER.size + len(payload))

    def _response(self, received: int) -> tuple[int, bytes]:
        if received < 0:
            raise OSError(-received, "no answer")
        response = ctypes.string_at(self._buffer, received)
        size, error = struct.unpack_from("<i4xi", response, 8)
        assert size == received
        return -error, response[RESPONSE_BYTES:]


def request(number: int, payload: bytes) -> int:
    """Return errno (0 or positive) of the response to one request."""
    connection = Connection()
    error, _ = connection.ask(number, payload)
    connection.close()
    return error


def log_request(text: bytes) -> bytes:
    """Return the payload that has something logged for root by the program e2e."""
    ident, tag = b"root@pam\0", b"e2e\0"
    return bytes([6, len(ident), len(tag)]) + ident + tag + text + b"\0"


def ask_many(service: str, uid: str, gid: str) -> int:
    """Become somebody, ask what standard input has as JSON, and print the answers as JSON."""
    questions = json.load(sys.stdin)
    os.setgroups([])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))
    try:
        connection = Connection(service.encode())
    except OSError as error:
        print(json.dumps(error.errno))
        return 0
    answers = [connection.ask(number, bytes.fromhex(payload)) for number, payload in questions]
    print(json.dumps([(error, payload.hex()) for error, payload in answers]))
    return 0


def main(verb: str, *arguments: str) -> int:
    """Log a text, publish a value under a key, or ask many things as somebody."""
    if verb == "ask":
        return ask_many(*arguments)
    values = [argument.encode() for argument in arguments]
    if verb == "log":
        return request(LOG, log_request(values[0]))
    return request(SET_STATUS, values[0].ljust(256, b"\0") + values[1] + b"\0")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
