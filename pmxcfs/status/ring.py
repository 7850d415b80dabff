"""The ring of bytes that holds the cluster log, and that members exchange whole.

Its first eight bytes are its size and the place of the newest entry (u32 each), 0 if there is none.
Entries start at multiples of eight; each names the place of the next older one. New ones overwrite
the oldest, whose links stay; the rules of walking keep off them.

Source: docs/PROTOCOL.md, "Cluster log".
"""

import struct
from collections.abc import Iterable, Iterator

from pmxcfs.errors import ProtocolError
from pmxcfs.status.entry import ENTRY_BYTES_MAX, LogEntry, decode_entry, size_at

RING_BYTES = 131_072

FIRST_PLACE = 8

_HEAD = struct.Struct("<2I")  # size, place of the newest entry
_LINKS = struct.Struct("<2I")  # place of the next older entry, place behind this one
_ALIGNMENT = 8


class Ring:
    """The log's entries at the places where every member would put them."""

    def __init__(self, entries: Iterable[LogEntry] = ()) -> None:
        self._data = bytearray(RING_BYTES)
        _HEAD.pack_into(self._data, 0, RING_BYTES, 0)
        for entry in entries:
            self.add(entry)

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def add(self, entry: LogEntry) -> None:
        """Add the newest entry, at the expense of the oldest ones."""
        _, newest = _HEAD.unpack_from(self._data)
        size = rounded_size(entry)
        place = _LINKS.unpack_from(self._data, newest)[1] if newest else FIRST_PLACE
        if place + size >= RING_BYTES:
            place = FIRST_PLACE
        data = entry.encode(newest, place + size)
        self._data[place : place + size] = data.ljust(size, b"\0")
        _HEAD.pack_into(self._data, 0, RING_BYTES, place)

    def walk(self) -> Iterator[LogEntry]:
        """Yield the entries, the newest first."""
        return _walk(bytes(self._data), stops_early=False)

    def walk_for_display(self) -> Iterator[LogEntry]:
        """Yield the entries, the newest first, but not the last one before a stale link.

        That is what the reference prints.
        """
        return _walk(bytes(self._data), stops_early=True)


def rounded_size(entry: LogEntry) -> int:
    """Return how many bytes of a ring an entry takes."""
    return -(-entry.size_bytes // _ALIGNMENT) * _ALIGNMENT


def decode_ring(data: bytes) -> list[LogEntry]:
    """Read the ring of another member, the newest entry first. Nothing in it is relied upon.

    Entries that lack the end of a string are left out, as the reference makes some that do.

    Raises:
        ProtocolError: these bytes are no ring, or its links lead astray.
    """
    if len(data) <= _HEAD.size or _HEAD.unpack_from(data)[0] != len(data):
        raise ProtocolError(f"{len(data)} bytes are no cluster log")
    return list(_walk(data, stops_early=False))


def _walk(data: bytes, *, stops_early: bool) -> Iterator[LogEntry]:
    newest = place = _HEAD.unpack_from(data)[1]
    room = len(data)  # what shares no bytes takes no more, and a circle soon does
    while place and (place <= newest or place > newest + ENTRY_BYTES_MAX):
        size = size_at(data, place)
        room -= size
        if place % _ALIGNMENT or room < 0:
            raise ProtocolError(f"a link of the cluster log leads to {place}")
        older = _LINKS.unpack_from(data, place)[0]
        is_last = place < older <= newest
        if not (is_last and stops_early):
            entry = _entry_at(data, place, size)
            if entry is not None:
                yield entry
        if is_last:
            return
        place = older


def _entry_at(data: bytes, place: int, size: int) -> LogEntry | None:
    try:
        return decode_entry(data[place : place + size])
    except ProtocolError:
        return None
