"""The messages of the durability group: questions, and answers of the same form.

Source: docs/PROTOCOL.md, "Durability group".
"""

from enum import IntEnum
from struct import Struct
from zlib import crc32

from pmxcfs.dfsm.history import DIGEST_BYTES, Point
from pmxcfs.errors import ProtocolError
from pmxcfs.values import value

MAGIC = b"pmxD"
PROTOCOL_VERSION = 1

_HEAD = Struct("<4sHH")  # magic, protocol version, type: the same in every version
_MESSAGE = Struct(f"<4sHHQ{DIGEST_BYTES}s")
_CHECKSUM = Struct("<I")

MESSAGE_BYTES = _MESSAGE.size + _CHECKSUM.size


class MessageType(IntEnum):
    """What a message says of its point."""

    ASK = 1
    """Whoever has everything up to there: bring it to your disk, and tell."""
    DURABLE = 2
    """The sender has everything up to there on its disk."""
    CALL = 3
    """Whoever hears this: answer with the same point. It is the caller and the number of its call.
    """
    HERE = 4
    """The sender answers a call."""


class NewerProtocolError(ProtocolError):
    """The message is in a later version of the protocol, which we cannot read."""


@value(frozen=True, slots=True)
class Message:
    """A message without its sender, whom the group names."""

    type: MessageType
    point: Point

    def encode(self) -> bytes:
        """Return the 36 bytes of the message."""
        body = _MESSAGE.pack(
            MAGIC, PROTOCOL_VERSION, self.type, self.point.position, self.point.digest
        )
        return body + _CHECKSUM.pack(crc32(body))


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        NewerProtocolError: it is in a later version.
        ProtocolError: these bytes are not a message, or were changed on their way.
    """
    if len(data) < _HEAD.size:
        raise ProtocolError(f"{len(data)} bytes are no message of the durability group")
    magic, version, kind = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise ProtocolError(f"a message of the durability group does not begin with {magic!r}")
    if version > PROTOCOL_VERSION:
        raise NewerProtocolError(f"a message in version {version} of the durability protocol")
    if version != PROTOCOL_VERSION or len(data) != MESSAGE_BYTES:
        raise ProtocolError(f"{len(data)} bytes are no message in version {version}")
    if _CHECKSUM.pack(crc32(data[: _MESSAGE.size])) != data[_MESSAGE.size :]:
        raise ProtocolError("a message of the durability group has a wrong checksum")
    if kind not in MessageType.__members__.values():
        raise ProtocolError(f"a message of the durability group has the unknown type {kind}")
    *_, position, digest = _MESSAGE.unpack_from(data)
    return Message(MessageType(kind), Point(position, digest))
