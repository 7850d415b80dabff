"""The payloads of the status group: a node's value under a key, and what it has logged.

Source: docs/PROTOCOL.md, "Key-value group".
"""

from dataclasses import dataclass
from enum import IntEnum

from pmxcfs.errors import ProtocolError
from pmxcfs.status.entry import LogEntry

KEY_FIELD_BYTES = 256
IP_BYTES_MAX = 255
"""With the NUL."""


class Subtype(IntEnum):
    """What a message of the status group brings. There is no message of subtype 2."""

    UPDATE = 1
    LOG = 3


@dataclass(frozen=True, slots=True)
class Update:
    """The sender's value under a key (at most 255 bytes); an empty one means that it has none."""

    key: bytes
    value: bytes


def encode_update(update: Update) -> tuple[int, bytes]:
    """Return subtype and payload."""
    return Subtype.UPDATE, update.key.ljust(KEY_FIELD_BYTES, b"\0") + update.value


def encode_log(entry: LogEntry) -> tuple[int, bytes]:
    """Return subtype and payload."""
    return Subtype.LOG, entry.encode()


def encode_ip(ip: bytes) -> bytes:
    """Return the value that tells an address, which is given as text."""
    return ip + b"\0"


def decode_ip(value: bytes) -> bytes:
    """Return the address, as text, that a value tells.

    Raises:
        ProtocolError: it is empty, too long, or has no NUL at its end.
    """
    if not value.endswith(b"\0") or len(value) > IP_BYTES_MAX:
        raise ProtocolError(f"{len(value)} bytes are no address")
    return value.partition(b"\0")[0]


def decode_update(payload: bytes) -> Update:
    """Read an update. What follows the end of its key is garbage: the reference clears nothing.

    Raises:
        ProtocolError: the payload is too short or its key has no end.
    """
    key, end, _ = payload[:KEY_FIELD_BYTES].partition(b"\0")
    if len(payload) < KEY_FIELD_BYTES or not end:
        raise ProtocolError(f"{len(payload)} bytes are no value with its key")
    return Update(key, payload[KEY_FIELD_BYTES:])
