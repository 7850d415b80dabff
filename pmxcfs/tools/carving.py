"""Rows taken from the pages of a damaged database, without SQLite.

SQLite stops at the first damaged page. Here every page stands for itself: the tree of pages is
followed as far as it goes, then leaves that nothing refers to any more are read too. Nothing that
the file declares is executed.

Source: https://www.sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pmxcfs.tools.pages import Image

Value: TypeAlias = int | float | bytes | None
Record: TypeAlias = tuple[Value, ...]

SCHEMA_ROOT = 1
TREE_ROOT = 2
"""Where the table begins in every database that the reference or this daemon has made."""

_LEAF, _INTERIOR = 0x0D, 0x05
_HEADER_BYTES = {_LEAF: 8, _INTERIOR: 12}
_FILE_HEADER_BYTES = 100
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_PAYLOAD_BYTES_MAX = 128 * 1024 * 1024
_COLUMNS_MAX = 100


class _DamagedError(Exception):
    """These bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Carved:
    """The rows of a table by number, the records found for each, and the damaged pages.

    ``adrift`` are the numbers of rows that were in pages nothing refers to: rows that a damaged
    page has cut off, or that were deleted.
    """

    rows: dict[int, list[Record]]
    adrift: frozenset[int]
    damaged_pages: tuple[int, ...]


def tree_root(image: Image) -> int:
    """Return the page where the table ``tree`` begins."""
    for records in carve(image, SCHEMA_ROOT, strays=False).rows.values():
        for record in records:
            match record[:4]:
                case (b"table", b"tree", _, int(root)) if 1 < root <= image.page_count:
                    return root
    return TREE_ROOT


def carve(image: Image, root: int, *, strays: bool = True) -> Carved:
    """Return all rows that can be found of the table that begins at a page.

    Args:
        image: of the file.
        root: the number of the table's first page.
        strays: whether to look into pages that nothing refers to.
    """
    carver = _Carver(image)
    carver.follow(root)
    connected, carver.rows = carver.rows, {}
    if strays:
        carver.search()
    adrift = {rowid: records for rowid, records in carver.rows.items() if rowid not in connected}
    return Carved(connected | adrift, frozenset(adrift), tuple(sorted(carver.damaged)))


class _Carver:
    """One search through an image."""

    def __init__(self, image: Image) -> None:
        self.rows: dict[int, list[Record]] = {}
        self.damaged: set[int] = set()
        self._image = image
        self._seen: set[int] = set()

    def follow(self, root: int) -> None:
        """Read the leaves below a page."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self._seen:
                continue
            self._seen.add(number)
            if self._kind(number) == _INTERIOR:
                waiting += self._children(number)
            else:
                self._read_leaf(number)

    def search(self) -> None:
        """Read the leaves that are not in use according to the pages read so far."""
        skipped = self._seen | self._image.free_pages() | {SCHEMA_ROOT}
        for number in range(1, self._image.page_count + 1):
            if number not in skipped and self._kind(number) == _LEAF:
                self._read_leaf(number)

    def _read_leaf(self, number: int) -> None:
        for at in self._cells(number, _LEAF):
            try:
                rowid, payload = self._payload(number, at)
                self.rows.setdefault(rowid, []).append(_record(payload))
            except (_DamagedError, struct.error):
                self.damaged.add(number)

    def _children(self, number: int) -> list[int]:
        page, start = self._image.page(number), _start_of(number)
        cells = list(self._cells(number, _INTERIOR))
        children = [self._image.number(page, at) for at in cells]
        children.append(self._image.number(page, start + 8))
        return children[::-1]

    def _cells(self, number: int, kind: int) -> Iterator[int]:
        """Yield where the cells of a page begin; say so if it has none of its kind."""
        page, start = self._image.page(number), _start_of(number)
        if self._kind(number) != kind:
            self.damaged.add(number)
            return
        first = start + _HEADER_BYTES[kind]
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        if first + 2 * count > len(page):
            self.damaged.add(number)
            count = (len(page) - first) // 2
        for place in range(first, first + 2 * count, 2):
            at = int.from_bytes(page[place : place + 2], "big")
            if first + 2 * count <= at < len(page) - 3:
                yield at
            else:
                self.damaged.add(number)

    def _kind(self, number: int) -> int:
        page, start = self._image.page(number), _start_of(number)
        return page[start] if len(page) > start + _HEADER_BYTES[_INTERIOR] and number > 0 else 0

    def _payload(self, number: int, at: int) -> tuple[int, bytes]:
        """Return the number and the record of the cell at a place of a leaf."""
        page, usable = self._image.page(number), self._image.usable
        size, at = _varint(page, at)
        rowid, at = _varint(page, at)
        if size > _PAYLOAD_BYTES_MAX:
            raise _DamagedError
        local = size
        if size > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (usable - 4)
            local = local if local <= usable - 35 else least
        parts = [page[at : at + local]]
        if size > local:
            parts += self._overflow(self._image.number(page, at + local), size - local)
        payload = b"".join(parts)
        if len(payload) < size:
            raise _DamagedError
        return rowid - (rowid >> 63 << 64), payload

    def _overflow(self, number: int, size: int) -> Iterator[bytes]:
        """Yield the rest of a payload, page by page."""
        chain: set[int] = set()
        while size > 0:
            page = self._image.page(number)
            if number in chain or number <= 1 or len(page) < self._image.usable:
                raise _DamagedError
            chain.add(number)
            self._seen.add(number)
            yield page[4 : 4 + min(size, self._image.usable - 4)]
            size -= self._image.usable - 4
            number = self._image.number(page, 0)


def _start_of(number: int) -> int:
    return _FILE_HEADER_BYTES if number == SCHEMA_ROOT else 0


def _record(payload: bytes) -> Record:
    """Return the values of a record."""
    header_size, at = _varint(payload, 0)
    if header_size > len(payload):
        raise _DamagedError
    kinds = []
    while at < header_size:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if not kinds or len(kinds) > _COLUMNS_MAX:
        raise _DamagedError
    values, at = [], header_size
    for kind in kinds:
        size = _size_of(kind)
        if at + size > len(payload):
            raise _DamagedError
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
        case 7:
            return float(struct.unpack(">d", stored)[0])
        case 8 | 9:
            return kind - 8
        case 10 | 11:
            raise _DamagedError
    return stored


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, 64 bits at most, and the place behind it."""
    number = 0
    for index in range(9):
        if at >= len(content):
            raise _DamagedError
        byte = content[at]
        at += 1
        if index == 8:
            return number << 8 | byte, at
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return number, at
