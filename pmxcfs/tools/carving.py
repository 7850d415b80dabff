"""Rows taken from the pages of a damaged database, without SQLite.

SQLite stops at the first damaged page. Here every page stands for itself: the tree of pages is
followed as far as it goes, then leaves that nothing refers to any more are read too. Nothing that
the file declares is executed.

Source: https://www.sqlite.org/fileformat2.html, "B-tree Pages".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pmxcfs.tools.cells import Cell, DamagedError, Record, read_cell
from pmxcfs.tools.pages import Image

SCHEMA_ROOT = 1
TREE_ROOT = 2
"""Where the table begins in every database that the reference or this daemon has made."""

_LEAF, _INTERIOR = 0x0D, 0x05
_HEADER_BYTES = {_LEAF: 8, _INTERIOR: 12}
_FILE_HEADER_BYTES = 100
_FREE_BYTES_MIN = 4


@dataclass(frozen=True, slots=True)
class Carved:
    """The rows of a table and the numbers of the damaged pages.

    ``adrift`` are rows in places that nothing refers to: a damaged page has cut them off, or they
    were deleted. No number of theirs is among ``rows``.
    """

    rows: tuple[Cell, ...]
    adrift: tuple[Cell, ...]
    damaged_pages: tuple[int, ...]


def carve(image: Image) -> Carved:
    """Return all rows that can be found of the table ``tree``."""
    carver = _Carver(image)
    carver.follow(SCHEMA_ROOT)
    root, others = _roots(image, [cell.record for cell in carver.rows])
    for other in others:
        carver.follow(other)
    carver.forget()
    carver.follow(root)
    carver.search()
    connected = {cell.rowid for cell in carver.rows}
    adrift = tuple(cell for cell in carver.adrift if cell.rowid not in connected)
    return Carved(tuple(carver.rows), adrift, tuple(sorted(carver.damaged)))


def _roots(image: Image, schema: Sequence[Record]) -> tuple[int, list[int]]:
    """Return the page where the table ``tree`` begins, and those of other tables."""
    root, others = TREE_ROOT, []
    for record in schema:
        match record[:4]:
            case (b"table", b"tree", _, int(page)) if 1 < page <= image.page_count:
                root = page
            case (b"table", _, _, int(page)) if 1 < page <= image.page_count:
                others.append(page)
    return root, [page for page in others if page != root]


class _Carver:
    """One search through an image."""

    def __init__(self, image: Image) -> None:
        self.rows: list[Cell] = []
        self.adrift: list[Cell] = []
        self.damaged: set[int] = set()
        self._image = image
        self._seen: set[int] = set()

    def forget(self) -> None:
        """Forget what was found, but not which pages it was in."""
        self.rows, self.adrift, self.damaged = [], [], set()

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
                self._read_leaf(number, self.rows)

    def search(self) -> None:
        """Read the leaves that are not in use according to the pages read so far."""
        skipped = self._seen | self._image.free_pages() | {SCHEMA_ROOT}
        for number in range(1, self._image.page_count + 1):
            if number not in skipped and self._kind(number) == _LEAF:
                self._read_leaf(number, self.adrift)

    def _read_leaf(self, number: int, found: list[Cell]) -> None:
        cells = list(self._cells(number, self._places(number, _LEAF)))
        found += cells
        if not self._is_accounted(number, cells):
            self.damaged.add(number)
            self.adrift += self._cells(number, self._places_beyond(number))

    def _cells(self, number: int, places: Iterator[int]) -> Iterator[Cell]:
        page = self._image.page(number)
        for at in places:
            try:
                cell = read_cell(self._image, page, at, self._seen)
            except DamagedError:
                self.damaged.add(number)
                continue
            if cell.missing_bytes:
                self.damaged.add(number)
            self._seen.update(cell.overflow)
            yield cell

    def _children(self, number: int) -> list[int]:
        page = self._image.page(number)
        children = [self._image.number(page, at) for at in self._places(number, _INTERIOR)]
        children.append(self._image.number(page, _start_of(number) + 8))
        return children[::-1]

    def _places(self, number: int, kind: int) -> Iterator[int]:
        """Yield where the cells of a page begin; note it as damaged if it is not of the kind."""
        page, start = self._image.page(number), _start_of(number)
        if self._kind(number) != kind:
            self.damaged.add(number)
            return
        first = start + _HEADER_BYTES[kind]
        count = _u16(page, start + 3)
        if first + 2 * count > len(page):
            self.damaged.add(number)
            count = (len(page) - first) // 2
        for place in range(first, first + 2 * count, 2):
            at = _u16(page, place)
            if first <= at < len(page) - 3:
                yield at
            else:
                self.damaged.add(number)

    def _places_beyond(self, number: int) -> Iterator[int]:
        """Yield where cells begin that a leaf has places of, but does not count."""
        page, start = self._image.page(number), _start_of(number)
        if self._kind(number) != _LEAF:
            return
        first = start + _HEADER_BYTES[_LEAF]
        for place in range(first + 2 * _u16(page, start + 3), _u16(page, start + 5) - 1, 2):
            at = _u16(page, place)
            if place < at < len(page) - 3:
                yield at

    def _is_accounted(self, number: int, cells: Sequence[Cell]) -> bool:
        """Whether every byte of a leaf belongs to a cell or is known to be free."""
        page, start = self._image.page(number), _start_of(number)
        if self._kind(number) != _LEAF:
            return False
        taken = page[start + 7] + sum(cell.end - cell.start for cell in cells)
        free = _u16(page, start + 1)
        while free > start and free + _FREE_BYTES_MIN <= len(page):
            taken += _u16(page, free + 2)
            following = _u16(page, free)
            free = following if following > free else 0
        return (_u16(page, start + 5) or 65536) + taken == self._image.usable

    def _kind(self, number: int) -> int:
        page, start = self._image.page(number), _start_of(number)
        return page[start] if len(page) > start + _HEADER_BYTES[_INTERIOR] and number > 0 else 0


def _start_of(number: int) -> int:
    return _FILE_HEADER_BYTES if number == SCHEMA_ROOT else 0


def _u16(page: bytes, at: int) -> int:
    return int.from_bytes(page[at : at + 2], "big")
