"""The bytes of group messages: headers, epochs and message types.

Every message starts with the base header, 16 bytes, little-endian: type u16, subtype u16, protocol
version u32, time u32 (UNIX seconds at the sender), reserved u32. A NORMAL message goes on with its
sender's message count (u64), every other one with an epoch (16 bytes); then comes the payload.

Source: docs/PROTOCOL.md, "Group messages".
"""

from enum import IntEnum
from struct import Struct

from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member
from pmxcfs.values import value

_TYPE = Struct("<H")
_BASE = Struct("<HHII4x")
_NORMAL = Struct("<HHII4xQ")
_COUNT = Struct("<Q")
_STATE = Struct("<HHII4xIIII")
_EPOCH = Struct("<IIII")
_VERIFY_REQUEST = Struct("<Q")
_VERIFY = Struct("<Q32s")

_U32_MAX = 2**32 - 1


class MessageType(IntEnum):
    """What a message is for. Only NORMAL ones are the application's own."""

    NORMAL = 0
    SYNC_START = 1
    STATE = 2
    UPDATE = 3
    UPDATE_COMPLETE = 4
    VERIFY_REQUEST = 5
    VERIFY = 6


@value(frozen=True, slots=True)
class Epoch:
    """Names one synchronisation: ``owner``'s ``counter``-th configuration change, at ``time_s``.

    16 bytes: counter, time, node id and process id, u32 each. Epochs are equal if all of them are.
    """

    counter: int
    time_s: int
    owner: Member

    def encode(self) -> bytes:
        """Return the 16 bytes that name the epoch."""
        return _EPOCH.pack(self.counter, self.time_s, self.owner.node_id, self.owner.pid)

    def __str__(self) -> str:
        return f"{self.owner.node_id}/{self.owner.pid}/{self.counter}"


@value(frozen=True, slots=True)
class BaseHeader:
    """The part that all headers share. ``type`` need not be one we know."""

    type: int
    subtype: int
    protocol_version: int
    time_s: int


@value(frozen=True, slots=True)
class NormalHeader:
    """The header of an application message; ``count`` numbers its sender's messages from 1."""

    subtype: int
    protocol_version: int
    time_s: int
    count: int

    def encode(self) -> bytes:
        """Return the 24 bytes of the header."""
        time_s = self.time_s & _U32_MAX
        kind = MessageType.NORMAL
        return _NORMAL.pack(kind, self.subtype, self.protocol_version, time_s, self.count)


@value(frozen=True, slots=True)
class StateHeader:
    """The header of a message of the protocol itself. ``type`` need not be one we know."""

    type: int
    protocol_version: int
    time_s: int
    epoch: Epoch

    def encode(self) -> bytes:
        """Return the 32 bytes of the header."""
        time_s = self.time_s & _U32_MAX
        epoch, owner = self.epoch, self.epoch.owner
        base = (self.type, 0, self.protocol_version, time_s)
        return _STATE.pack(*base, epoch.counter, epoch.time_s, owner.node_id, owner.pid)


def is_normal(data: bytes) -> bool:
    """Whether bytes begin as an application message does; they may be malformed all the same."""
    return data[:2] == _TYPE.pack(MessageType.NORMAL)


def decode_base(data: bytes) -> BaseHeader:
    """Return what the first 16 bytes of any message say.

    Raises:
        ProtocolError: the message is shorter than that.
    """
    _require(len(data) >= _BASE.size, data, "base header")
    return BaseHeader(*_BASE.unpack_from(data))


def decode_normal(data: bytes) -> tuple[NormalHeader, bytes]:
    """Return the header and the payload of a NORMAL message.

    Raises:
        ProtocolError: the message is shorter than 24 bytes.
    """
    _require(len(data) >= _NORMAL.size, data, "header of a normal message")
    _, subtype, version, time_s, count = _NORMAL.unpack_from(data)
    return NormalHeader(subtype, version, time_s, count), data[_NORMAL.size :]


def count_of(data: bytes) -> int:
    """Return the count in the header of a NORMAL message.

    Raises:
        ProtocolError: the message is shorter than 24 bytes.
    """
    _require(len(data) >= _NORMAL.size, data, "header of a normal message")
    count: int = _COUNT.unpack_from(data, _BASE.size)[0]
    return count


def decode_state(data: bytes) -> tuple[StateHeader, bytes]:
    """Return the header and the payload of any message that is not NORMAL.

    Raises:
        ProtocolError: the message is shorter than 32 bytes.
    """
    return decode_state_header(data), state_payload_of(data)


def decode_state_header(data: bytes) -> StateHeader:
    """Return the header of any message that is not NORMAL, whose payload may be a mebibyte.

    Raises:
        ProtocolError: the message is shorter than 32 bytes.
    """
    _require(len(data) >= _STATE.size, data, "header of a state message")
    kind, _, version, time_s, counter, epoch_time_s, node_id, pid = _STATE.unpack_from(data)
    epoch = Epoch(counter, epoch_time_s, Member(node_id, pid))
    return StateHeader(kind, version, time_s, epoch)


def state_payload_of(data: bytes) -> bytes:
    """Return the payload of any message that is not NORMAL."""
    return data[_STATE.size :]


def encode_verify_request(request_id: int) -> bytes:
    """Return the payload of VERIFY_REQUEST, 8 bytes."""
    return _VERIFY_REQUEST.pack(request_id)


def decode_verify_request(payload: bytes) -> int:
    """Return the id that a VERIFY_REQUEST carries.

    Raises:
        ProtocolError: the payload is not 8 bytes long.
    """
    _require(len(payload) == _VERIFY_REQUEST.size, payload, "verify request")
    (request_id,) = _VERIFY_REQUEST.unpack(payload)
    assert isinstance(request_id, int)
    return request_id


def encode_verify(request_id: int, checksum: bytes) -> bytes:
    """Return the payload of VERIFY, 40 bytes; ``checksum`` has 32."""
    return _VERIFY.pack(request_id, checksum)


def decode_verify(payload: bytes) -> tuple[int, bytes]:
    """Return the request id and the checksum (32 bytes) that a VERIFY carries.

    Raises:
        ProtocolError: the payload is not 40 bytes long.
    """
    _require(len(payload) == _VERIFY.size, payload, "verification")
    request_id, checksum = _VERIFY.unpack(payload)
    return request_id, checksum


def _require(holds: bool, data: bytes, what: str) -> None:
    if not holds:
        raise ProtocolError(f"{len(data)} bytes are no {what}")
