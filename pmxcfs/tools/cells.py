"""The cells of a table's leaf pages: rows in SQLite's record format.

Source: https://www.sqlite.org/fileformat2.html, "B-tree Cell Format" and "Record Format".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pmxcfs.tools.pages import Image

Value: TypeAlias = int | float | bytes | None
Record: TypeAlias = tuple[Value, ...]

_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_PAYLOAD_BYTES_MAX = 128 * 1024 * 1024
_COLUMNS_MAX = 100
_CELL_BYTES_MIN = 4


class DamagedError(Exception):
    """These bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One row: its number, its values, and where it is in its page.

    ``overflow`` are the pages that it goes on in. The last value is cut short if ``missing_bytes``
    of it could not be read.
    """

    rowid: int
    record: Record
    start: int
    end: int
    overflow: tuple[int, ...]
    missing_bytes: int = 0


def read_cell(image: Image, page: bytes, start: int, used: set[int]) -> Cell:
    """Return the cell at a place of a leaf.

    Args:
        image: where its overflow pages are.
        page: the leaf.
        start: where the cell begins in it.
        used: pages that belong to something else.

    Raises:
        DamagedError: there is no cell.
    """
    size, at = _varint(page, start)
    rowid, at = _varint(page, at)
    if size > _PAYLOAD_BYTES_MAX:
        raise DamagedError
    local = _local_bytes(size, image.usable)
    payload, end, pages = page[at : at + local], at + local, []
    if size > local:
        for number, content in _overflow(image, image.number(page, end), size - local, used):
            pages.append(number)
            payload += content
        end += 4
    record = _record(payload, size - len(payload))
    end = max(end, start + _CELL_BYTES_MIN)
    return Cell(_signed(rowid), record, start, end, tuple(pages), size - len(payload))


def _local_bytes(size: int, usable: int) -> int:
    """Return how much of a payload is in the leaf itself."""
    if size <= usable - 35:
        return size
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    return local if local <= usable - 35 else least


def _overflow(image: Image, number: int, size: int, used: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the rest of a payload, page by page, as far as there is something."""
    chain: set[int] = set()
    while size > 0 and number > 1 and number not in chain | used:
        page = image.page(number)
        if len(page) < image.usable:
            return
        chain.add(number)
        yield number, page[4 : 4 + min(size, image.usable - 4)]
        size -= image.usable - 4
        number = image.number(page, 0)


def _record(payload: bytes, missing: int) -> Record:
    """Return the values of a record, the last of which may have bytes missing."""
    header_size, at = _varint(payload, 0)
    if header_size > len(payload):
        raise DamagedError
    kinds = []
    while at < header_size:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    sizes = [_size_of(kind) for kind in kinds]
    if not kinds or len(kinds) > _COLUMNS_MAX or header_size + sum(sizes) > len(payload) + missing:
        raise DamagedError
    if missing >= sizes[-1] > 0 or (missing and not sizes[-1]):
        raise DamagedError
    values, at = [], header_size
    for kind, size in zip(kinds, sizes, strict=True):
        values.append(_value(kind, payload[at : at + size]))
        at += size
    return tuple(values)


def _size_of(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INTEGER_BYTES.get(kind, 0)


def _value(kind: int, stored: bytes) -> Value:
    if kind in _INTEGER_BYTES:
        return int.from_bytes(stored, "big", signed=True)
    match kind:
        case 0:
            return None
        case 7 if len(stored) == 8:
            return float(struct.unpack(">d", stored)[0])
        case 8 | 9:
            return kind - 8
        case 7 | 10 | 11:
            raise DamagedError
    return stored


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, 64 bits at most, and the place behind it."""
    number = 0
    for index in range(9):
        if at >= len(content):
            raise DamagedError
        byte = content[at]
        at += 1
        if index == 8:
            return number << 8 | byte, at
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return number, at


def _signed(number: int) -> int:
    return number - (number >> 63 << 64)
