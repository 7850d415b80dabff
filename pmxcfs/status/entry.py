"""One entry of the cluster log, as a value and as bytes.

Source: docs/PROTOCOL.md, "Cluster log".
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pmxcfs.errors import ProtocolError
from pmxcfs.status.text import converted

ENTRY_BYTES_MAX = 4096

_HEADER = struct.Struct("<4I2QI4BI")
# prev, next, uid, time, node digest, ident digest, pid, priority, lengths of the four strings

_SLACK_BYTES = 4
"""The reference counts its header as 48 bytes, so every entry ends in four that mean nothing."""

_OVERHEAD_BYTES = _HEADER.size + _SLACK_BYTES
_NAME_BYTES_MAX = 255  # with the NUL
_RESERVED_BYTES = 7  # behind the text of a message that is cut

_FNV_BASIS = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_U64 = 2**64 - 1

Key = tuple[int, int, int]
"""What makes two entries one: time, digest of the node's name, uid."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What somebody logged. Strings are without the NUL that ends them; the text is converted.

    Attributes:
        uid: a number that the node gave it, rising within each second.
        time_s: when, by the clock of that node.
        node_digest: of the node's name.
        ident_digest: of the user's name, for looking for a user's entries.
        pid: the process that logged it.
        priority: 0 to 7, as in syslog.
        node: name of the node.
        ident: name of the user.
        tag: what kind of program logged it.
        message: see ``pmxcfs.status.text``.
    """

    uid: int
    time_s: int
    node_digest: int
    ident_digest: int
    pid: int
    priority: int
    node: bytes
    ident: bytes
    tag: bytes
    message: bytes

    @property
    def key(self) -> Key:
        """What makes this entry different from all others."""
        return self.time_s, self.node_digest, self.uid

    @property
    def size_bytes(self) -> int:
        """How long it is as bytes."""
        return _OVERHEAD_BYTES + sum(len(text) + 1 for text in self._texts)

    @property
    def _texts(self) -> tuple[bytes, bytes, bytes, bytes]:
        return self.node, self.ident, self.tag, self.message

    def encode(self, previous: int = 0, following: int = 0) -> bytes:
        """Return the entry as bytes.

        Args:
            previous: place of the next older entry in a ring, 0 in a message.
            following: place behind this entry in a ring, 0 in a message.
        """
        lengths = [len(text) + 1 for text in self._texts]
        numbers = (self.uid, self.time_s, self.node_digest, self.ident_digest)
        header = _HEADER.pack(previous, following, *numbers, self.pid, self.priority, *lengths)
        return b"\0".join([header + self.node, *self._texts[1:], bytes(_SLACK_BYTES)])


def new_entry(
    *,
    uid: int,
    time_s: int,
    pid: int,
    priority: int,
    node: bytes,
    ident: bytes,
    tag: bytes,
    text: bytes,
) -> LogEntry:
    """Make an entry of what a client logs on this node; what is too long is cut."""
    names = [_cut(name.partition(b"\0")[0]) for name in (node, ident, tag)]
    place_of_message = _HEADER.size + sum(len(name) + 1 for name in names)
    entry = LogEntry(
        uid=uid,
        time_s=time_s,
        node_digest=digest(node),
        ident_digest=digest(ident),
        pid=pid,
        priority=priority,
        node=names[0],
        ident=names[1],
        tag=names[2],
        message=b"",
    )
    limit = ENTRY_BYTES_MAX - place_of_message - _RESERVED_BYTES
    return replace(entry, message=converted(text, limit))


def decode_entry(data: bytes) -> LogEntry:
    """Read an entry that fills ``data`` exactly.

    Raises:
        ProtocolError: these bytes are no entry.
    """
    if not _OVERHEAD_BYTES <= len(data) <= ENTRY_BYTES_MAX:
        raise ProtocolError(f"{len(data)} bytes are no log entry")
    _, _, uid, time_s, node, ident, pid, priority, *lengths = _HEADER.unpack_from(data)
    if _OVERHEAD_BYTES + sum(lengths) != len(data):
        raise ProtocolError(f"a log entry of {len(data)} bytes claims another length")
    return LogEntry(uid, time_s, node, ident, pid, priority, *_strings(data, lengths))


def size_at(data: bytes, place: int) -> int:
    """Return the size that the entry at ``place`` in a ring claims.

    Raises:
        ProtocolError: it does not fit there.
    """
    if place + _HEADER.size > len(data):
        raise ProtocolError(f"no log entry fits at {place}")
    size: int = _OVERHEAD_BYTES + sum(_HEADER.unpack_from(data, place)[8:])
    if size > ENTRY_BYTES_MAX or place + size > len(data):
        raise ProtocolError(f"a log entry of {size} bytes at {place}")
    return size


def digest(name: bytes) -> int:
    """Return FNV-1a, 64 bits, of a name with its NUL; of the first 255 bytes of a longer one."""
    value = _FNV_BASIS
    for byte in (name.partition(b"\0")[0] + b"\0")[:_NAME_BYTES_MAX]:
        value = ((value ^ byte) * _FNV_PRIME) & _U64
    return value


def _cut(name: bytes) -> bytes:
    return name[: _NAME_BYTES_MAX - 1]


def _strings(data: bytes, lengths: Iterable[int]) -> tuple[bytes, bytes, bytes, bytes]:
    strings: list[bytes] = []
    place = _HEADER.size
    for length in lengths:
        text = data[place : place + length]
        if text[-1:] != b"\0":
            raise ProtocolError("a string of a log entry has no end")
        strings.append(text[:-1])
        place += length
    node, ident, tag, message = strings
    return node, ident, tag, message
