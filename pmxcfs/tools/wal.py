"""What a write-ahead log holds: the pages of its commits, and what SQLite will not look at.

SQLite reads a log up to the first frame whose checksum is wrong, and from there to the last commit
before it. Whether an interrupted write or damage ended it there, it can't tell, and says nothing.

Source: https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log".
"""

import struct
from dataclasses import dataclass, field
from typing import TypeAlias

Checksum: TypeAlias = tuple[int, int]

_HEADER = struct.Struct(">8I")  # magic, format, page size, checkpoint, two salts, checksum
_FRAME = struct.Struct(">6I")  # page, pages of the database after a commit, two salts, checksum
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # with the byte order of what the checksums cover
_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Log:
    """The committed pages by number, and how many frames of the same run were left out.

    ``page_count`` is the length of the database after the last commit, 0 without any.
    """

    pages: dict[int, bytes] = field(default_factory=dict)
    page_count: int = 0
    ignored_frames: int = 0
    fault: str | None = None


def read_log(content: bytes) -> Log:
    """Return what a log holds; damage makes it shorter, or empty with a fault, as for SQLite."""
    if not content:
        return Log()
    if len(content) < _HEADER.size:
        return Log(fault=f"the write-ahead log has only {len(content)} bytes")
    magic, _, page_size, _, salt1, salt2, *expected = _HEADER.unpack_from(content)
    if magic not in _MAGIC or not is_page_size(page_size):
        return Log(fault="the write-ahead log has no header, so nothing of it is used")
    order = _MAGIC[magic]
    running = _checksum(order, (0, 0), content[: _HEADER.size - 8])
    if running != tuple(expected):
        return Log(fault="the header of the write-ahead log is damaged, so nothing of it is used")
    return _read_frames(content, page_size, order, (salt1, salt2), running)


def is_page_size(number: int) -> bool:
    """Whether SQLite has pages of so many bytes."""
    return 512 <= number <= 65536 and not number & (number - 1)


def _read_frames(
    content: bytes, page_size: int, order: str, salts: tuple[int, int], running: Checksum
) -> Log:
    committed: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    page_count = ignored = 0
    is_sound = True
    for start in range(_HEADER.size, len(content) - page_size, _FRAME.size + page_size):
        head = content[start : start + _FRAME.size]
        page = content[start + _FRAME.size : start + _FRAME.size + page_size]
        number, size_after, salt1, salt2, *expected = _FRAME.unpack(head)
        if (salt1, salt2) != salts or len(page) < page_size:
            break  # left over from before the log began anew
        ignored += 1
        if not is_sound:
            continue
        running = _checksum(order, _checksum(order, running, head[:8]), page)
        is_sound = running == tuple(expected) and number > 0
        if is_sound:
            waiting[number] = page
        if is_sound and size_after:
            committed |= waiting
            waiting, page_count, ignored = {}, size_after, 0
    return Log(committed, page_count, ignored)


def _checksum(order: str, start: Checksum, content: bytes) -> Checksum:
    first, second = start
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _U32
        second = (second + odd + first) & _U32
    return first, second
