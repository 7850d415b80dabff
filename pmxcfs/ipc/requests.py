"""Bytes of requests and responses of the IPC service.

Source: docs/PROTOCOL.md, "IPC".
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from errno import EINVAL

from pmxcfs.errors import OperationError

_REQUEST_HEADER = struct.Struct("<i4xi4x")
HEADER_BYTES = _REQUEST_HEADER.size
_RESPONSE_HEADER = struct.Struct("<i4xi4xi4x")
RESPONSE_HEADER_BYTES = _RESPONSE_HEADER.size

NAME_BYTES = 256
_U32 = struct.Struct("<I")
_LOG_HEADER = struct.Struct("<BBB")
_LOG_QUESTION = struct.Struct("<I12x")


class RequestId(IntEnum):
    """What can be asked for; 9 was never given away."""

    GET_VERSION = 1
    GET_MEMBERS = 2
    GET_GUESTS = 3
    SET_STATUS = 4
    GET_STATUS = 5
    GET_FILE = 6
    LOG = 7
    GET_LOG = 8
    GET_METRICS = 10
    GET_GUEST_PROPERTY = 11
    VERIFY_TOKEN = 12
    GET_GUEST_PROPERTIES = 13


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Something to log: who it is about, what kind of program says it, and what."""

    priority: int
    ident: bytes
    tag: bytes
    text: bytes


def decode_request(request: bytes) -> bytes:
    """Return the payload of a request.

    Raises:
        OperationError: EINVAL, it is cut off or its size is not what it says.
    """
    if len(request) < _REQUEST_HEADER.size:
        raise OperationError(EINVAL)
    _, size = _REQUEST_HEADER.unpack_from(request)
    if size != len(request):
        raise OperationError(EINVAL)
    return request[_REQUEST_HEADER.size :]


def request_number(request: bytes) -> int:
    """Return the id of whatever arrived; 0 if it has none."""
    return int.from_bytes(request[:4], "little", signed=True) if len(request) >= 4 else 0


def encode_response(number: int, payload: bytes) -> bytes:
    """Return the response to a request that was done."""
    return _RESPONSE_HEADER.pack(number, _RESPONSE_HEADER.size + len(payload), 0) + payload


def encode_refusal(number: int, errno: int) -> bytes:
    """Return the response to a request that was refused; ``errno`` is positive."""
    return _RESPONSE_HEADER.pack(number, _RESPONSE_HEADER.size, -errno)


def error_of(response: bytes) -> int:
    """Return the errno of a response, positive; 0 if the request was done."""
    _, _, error = _RESPONSE_HEADER.unpack_from(response)
    return -int(error)


def check_empty(payload: bytes) -> None:
    """Accept the payload of a request that has none, or raise OperationError: EINVAL."""
    if payload:
        raise OperationError(EINVAL)


def decode_status(payload: bytes) -> tuple[bytes, bytes]:
    """Return key and value that a client sets; raises OperationError: EINVAL."""
    if len(payload) < NAME_BYTES:
        raise OperationError(EINVAL)
    return c_string(payload[: NAME_BYTES - 1]), payload[NAME_BYTES:]


def decode_status_question(payload: bytes) -> tuple[bytes, bytes]:
    """Return key and node name that a client asks for; raises OperationError: EINVAL."""
    if len(payload) < 2 * NAME_BYTES:
        raise OperationError(EINVAL)
    key, node = payload[: NAME_BYTES - 1], payload[NAME_BYTES : 2 * NAME_BYTES - 1]
    return c_string(key), c_string(node)


def decode_text(payload: bytes) -> bytes:
    """Return a C string whose last byte counts as NUL; raises OperationError: EINVAL."""
    if not payload:
        raise OperationError(EINVAL)
    return c_string(payload[:-1])


def decode_log(payload: bytes) -> LogRequest:
    """Return what a client logs.

    Raises:
        OperationError: EINVAL, a string is missing or does not end in NUL.
    """
    if len(payload) < _LOG_HEADER.size:
        raise OperationError(EINVAL)
    priority, ident_bytes, tag_bytes = _LOG_HEADER.unpack_from(payload)
    texts = payload[_LOG_HEADER.size :]
    fields = texts[:ident_bytes], texts[ident_bytes:][:tag_bytes], texts[ident_bytes + tag_bytes :]
    if not all(field.endswith(b"\0") for field in fields):
        raise OperationError(EINVAL)
    return LogRequest(priority, *map(c_string, fields))


def decode_log_question(payload: bytes) -> tuple[int, bytes]:
    """Return how many entries are wanted at most (0: no matter) and of which user, if any.

    Raises:
        OperationError: EINVAL, it is cut off.
    """
    if len(payload) <= _LOG_QUESTION.size:
        raise OperationError(EINVAL)
    (entries_max,) = _LOG_QUESTION.unpack_from(payload)
    return entries_max, decode_text(payload[_LOG_QUESTION.size :])


def decode_vmid(payload: bytes) -> tuple[int, bytes]:
    """Return the VM id that a question begins with, and its rest; raises OperationError: EINVAL."""
    if len(payload) < _U32.size:
        raise OperationError(EINVAL)
    (vmid,) = _U32.unpack_from(payload)
    return vmid, payload[_U32.size :]


def decode_names(payload: bytes) -> Sequence[bytes]:
    """Return the property names that a client asks for.

    Raises:
        OperationError: EINVAL, there are none, or not as many as it says, or one of them is empty
            or does not begin with a small letter.
    """
    count, names = payload[:1], payload[1:].split(b"\0")
    if len(names) - 1 != int.from_bytes(count) or names.pop() or not names:
        raise OperationError(EINVAL)
    if not all(b"a" <= name[:1] <= b"z" for name in names):
        raise OperationError(EINVAL)
    return names


def decode_token(payload: bytes) -> bytes:
    """Return the token that a client presents.

    Raises:
        OperationError: EINVAL, it is empty, has a line feed or NUL in it or no NUL at its end.
    """
    token = payload[:-1]
    if not token or payload[-1:] != b"\0" or b"\n" in token or b"\0" in token:
        raise OperationError(EINVAL)
    return token


def c_string(field: bytes) -> bytes:
    """Return what is before the first NUL."""
    return field.partition(b"\0")[0]
