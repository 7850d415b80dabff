"""The pages of a database file together with its write-ahead log, read without SQLite.

Source: https://www.sqlite.org/fileformat2.html, "The Database Header" and "The Freelist".
"""

from pathlib import Path

from pmxcfs.tools.wal import Log, is_page_size, read_log

MAGIC = b"SQLite format 3\0"
PAGE_SIZE = 4096
"""The size of the pages in every database that the reference or this daemon has made."""

_RESERVED_BYTES_MAX = 32
AT_ENCODING = 56
UTF8 = (0, 1)
"""Where the header has the encoding of texts, and what its last two bits are for UTF-8."""

_AT_PAGE_SIZE, _AT_RESERVED, _AT_PAGE_COUNT, _AT_FREE = 16, 20, 28, 32
# The count of pages holds only if the change that it was written with is the last one.
_AT_CHANGES, _AT_VALID_FOR = 24, 92


class Image:
    """All pages of a database.

    Attributes:
        page_size: in bytes, as the header says if it says something possible.
        usable: how many bytes of a page hold something.
        page_count: how many pages there are.
        log: the write-ahead log, as far as it counts.
    """

    def __init__(self, content: bytes, log: bytes = b"") -> None:
        said = int.from_bytes(content[_AT_PAGE_SIZE : _AT_PAGE_SIZE + 2], "big")
        said = 65536 if said == 1 else said
        self.page_size = said if is_page_size(said) else PAGE_SIZE
        reserved = content[_AT_RESERVED] if len(content) > _AT_RESERVED else 0
        self.usable = self.page_size - (reserved if reserved <= _RESERVED_BYTES_MAX else 0)
        self.log: Log = read_log(log)
        self._content = content
        self.page_count = self.log.page_count or -(-len(content) // self.page_size)

    @classmethod
    def of(cls, database: Path) -> "Image":
        """Read a file and its log.

        Raises:
            OSError: one of them can't be read.
        """
        log = database.with_name(database.name + "-wal")
        return cls(database.read_bytes(), log.read_bytes() if log.exists() else b"")

    @property
    def missing_pages(self) -> int:
        """How many pages the header counts that are not in the file."""
        first = self.page(1)
        is_valid = self.number(first, _AT_CHANGES) == self.number(first, _AT_VALID_FOR)
        if self.log.page_count or not is_valid:
            return 0
        return max(0, self.number(first, _AT_PAGE_COUNT) - self.page_count)

    def page(self, number: int) -> bytes:
        """Return a page by its number, which counts from 1; a missing one is empty."""
        if (page := self.log.pages.get(number)) is not None:
            return page
        return self._content[(number - 1) * self.page_size : number * self.page_size]

    def free_pages(self) -> set[int]:
        """Return the pages that are not in use, as far as their list can be followed."""
        free: set[int] = set()
        trunk = self.number(self.page(1), _AT_FREE)
        while 0 < trunk <= self.page_count and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            count = min(self.number(page, 4), self.usable // 4 - 2)
            free.update(self.number(page, 8 + 4 * index) for index in range(count))
            trunk = self.number(page, 0)
        return free

    @staticmethod
    def number(page: bytes, at: int) -> int:
        """Return the 32-bit number at a place of a page."""
        return int.from_bytes(page[at : at + 4], "big")
