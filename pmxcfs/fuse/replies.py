"""Answers to the kernel, in libfuse's form."""

from typing import TYPE_CHECKING

from pmxcfs._libfuse import ffi, lib
from pmxcfs.fuse.attributes import BLOCK_SIZE_BYTES, CACHE_S, NAME_BYTES_MAX, Stat, StatVfs
from pmxcfs.fuse.listings import ENTRIES_FROM

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

_PART_BYTES_MAX = 2048
_buffer = ffi.new("char[]", _PART_BYTES_MAX)


def _fields(stat: Stat) -> tuple[int, int, float, float, int, int, int, int, int, int, int]:
    """Return what the kernel is told of an inode, in the order of ``fuse_build``."""
    return (
        stat.st_ino,
        stat.generation,
        CACHE_S,
        stat.entry_timeout,
        stat.st_mode,
        stat.st_uid,
        stat.st_gid,
        stat.st_nlink,
        stat.st_size,
        stat.st_blocks,
        stat.st_mtime_ns,
    )


def entry(request: "CData", stat: Stat) -> None:
    """Answer with what a name stands for."""
    lib.pmxcfs_reply_entry(request, *_fields(stat))


def attributes(request: "CData", stat: Stat) -> None:
    """Answer with attributes."""
    lib.pmxcfs_reply_attributes(request, *_fields(stat))


def created(request: "CData", stat: Stat) -> None:
    """Answer with a new file, open."""
    lib.pmxcfs_reply_created(request, *_fields(stat))


def done(request: "CData", result: None) -> None:
    """Answer that all went well."""
    lib.fuse_reply_err(request, 0)


def data(request: "CData", data: bytes) -> None:
    """Answer with what was read."""
    lib.fuse_reply_buf(request, data, len(data))


def target(request: "CData", target: bytes) -> None:
    """Answer with where a link points to."""
    lib.fuse_reply_readlink(request, target)


def opened(request: "CData", handle: int) -> None:
    """Answer with an open file."""
    lib.pmxcfs_reply_open(request, handle, lib.PMXCFS_KEEP_CACHE)


def handle(request: "CData", handle: int) -> None:
    """Answer with an open directory."""
    lib.pmxcfs_reply_open(request, handle, 0)


def cached_handle(request: "CData", handle: int) -> None:
    """Answer with an open directory that the kernel lists from its memory."""
    lib.pmxcfs_reply_open(request, handle, lib.PMXCFS_CACHE_DIR | lib.PMXCFS_KEEP_CACHE)


def new_handle(request: "CData", handle: int) -> None:
    """Answer with an open directory of which the kernel is to make a memory anew."""
    lib.pmxcfs_reply_open(request, handle, lib.PMXCFS_CACHE_DIR)


def written(request: "CData", count: int) -> None:
    """Answer how much was written."""
    lib.fuse_reply_write(request, count)


def statfs(request: "CData", numbers: StatVfs) -> None:
    """Answer with sizes and limits."""
    lib.pmxcfs_reply_statfs(
        request,
        BLOCK_SIZE_BYTES,
        numbers.blocks,
        numbers.blocks_free,
        numbers.inodes,
        numbers.inodes_free,
        NAME_BYTES_MAX,
    )


class Names:
    """The answer to a request for names of a directory, with their attributes."""

    def __init__(self, request: "CData", size: int) -> None:
        self._request = request
        self._left = size
        self._parts: list[bytes] = []

    def add(self, name: bytes, stat: Stat, position: int) -> bool:
        """Add a name; false means that there is no room for it."""
        part = stat.listed if position > ENTRIES_FROM else None
        if part is None:
            part = self._encoded(name, stat, position)
        if len(part) > self._left:
            return False
        self._left -= len(part)
        self._parts.append(part)
        return True

    def reply(self, request: "CData", result: None) -> None:
        """Answer with what was added."""
        data(request, b"".join(self._parts))

    def _encoded(self, name: bytes, stat: Stat, position: int) -> bytes:
        """Return a name as part of a listing. That of an entry of the tree is always the same."""
        size: int = lib.pmxcfs_add_name(
            self._request, _buffer, _PART_BYTES_MAX, name, position, *_fields(stat)
        )
        part = ffi.buffer(_buffer, size)[:]
        if position > ENTRIES_FROM:
            stat.listed = part
        return part
