"""Talks to a daemon's IPC service as management tools do; run on a node.

It needs libqb and nothing else, so that it can be sent to a node as text.
"""

import ctypes
import struct
import sys

SERVICE = b"pve2"
MESSAGE_BYTES_MAX = 1 << 20
WAIT_MS = 10_000

SET_STATUS = 4
LOG = 7

HEADER = struct.Struct("<i4xi4x")


class Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


def request(number: int, payload: bytes) -> int:
    """Send a request and return the error number of its answer, 0 or negative."""
    qb = ctypes.CDLL("libqb.so.100", use_errno=True)
    qb.qb_ipcc_connect.restype = ctypes.c_void_p
    qb.qb_ipcc_sendv_recv.restype = ctypes.c_ssize_t
    connection = ctypes.c_void_p(qb.qb_ipcc_connect(SERVICE, ctypes.c_size_t(MESSAGE_BYTES_MAX)))
    if not connection:
        raise OSError(ctypes.get_errno(), "cannot connect")
    message = HEADER.pack(number, HEADER.size + len(payload)) + payload
    answer = ctypes.create_string_buffer(MESSAGE_BYTES_MAX)
    part = Part(message, len(message))
    received = qb.qb_ipcc_sendv_recv(
        connection,
        ctypes.byref(part),
        1,
        answer,
        ctypes.c_size_t(MESSAGE_BYTES_MAX),
        WAIT_MS,
    )
    qb.qb_ipcc_disconnect(connection)
    if received < 0:
        raise OSError(-received, "no answer")
    return int(struct.unpack_from("<i", answer.raw, 16)[0])


def log_request(text: bytes) -> bytes:
    """Return the payload that has something logged for root by the program e2e."""
    ident, tag = b"root@pam\0", b"e2e\0"
    return bytes([6, len(ident), len(tag)]) + ident + tag + text + b"\0"


def main(verb: str, *arguments: str) -> int:
    """Log a text, or publish a value under a key."""
    values = [argument.encode() for argument in arguments]
    if verb == "log":
        return request(LOG, log_request(values[0]))
    return request(SET_STATUS, values[0].ljust(256, b"\0") + values[1] + b"\0")


if __name__ == "__main__":
    sys.exit(-main(*sys.argv[1:]))
