"""The stream between porter and daemon: frames of a fixed header and a body.

Both ends are ours and of one version, so it is native and unchecked. Connection 0 is none: its
frames are empty and mean "I am here"; the porter answers one with one.
"""

import struct
from collections.abc import Iterator

NO_CONNECTION = 0

REQUEST = struct.Struct("=IIiIII")
"""Bytes of the body, connection, and of its client pid, uid, gid and bytes of its buffer."""

RESPONSE = struct.Struct("=IIQ")
"""Bytes of the body, connection, and the state in which it is true; 0 if it may not be kept."""

PING = RESPONSE.pack(0, NO_CONNECTION, 0)
PONG = REQUEST.pack(0, NO_CONNECTION, 0, 0, 0, 0)


class FrameReader:
    """Cuts a stream into frames.

    Args:
        header: of every frame; its first number is the size of the body in bytes.
    """

    def __init__(self, header: struct.Struct) -> None:
        self._header = header
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """Yield the frames that this piece of the stream completes: rest of the header, body."""
        self._rest += data
        begin, header_bytes = 0, self._header.size
        while len(self._rest) - begin >= header_bytes:
            size, *fields = self._header.unpack_from(self._rest, begin)
            end = begin + header_bytes + size
            if end > len(self._rest):
                break
            yield tuple(fields), bytes(self._rest[begin + header_bytes : end])
            begin = end
        del self._rest[:begin]
