"""Answers to the kernel, in libfuse's form."""

from typing import TYPE_CHECKING, cast

import pyfuse3

from pmxcfs._libfuse import ffi, lib
from pmxcfs.fuse.attributes import Stat
from pmxcfs.fuse.listings import ENTRIES_FROM

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

_NANOSECONDS = 1_000_000_000

_PART_BYTES_MAX = 2048
_buffer = ffi.new("char[]", _PART_BYTES_MAX)


def _native(stat: pyfuse3.EntryAttributes) -> "CData":
    """Return attributes in libfuse's form, made at their first use."""
    assert isinstance(stat, Stat)
    try:
        return cast("CData", stat.native)
    except AttributeError:
        pass
    entry = ffi.new("struct fuse_entry_param *")
    lib.pmxcfs_set_attributes(
        entry,
        stat.st_ino,
        stat.st_mode,
        stat.st_uid,
        stat.st_gid,
        stat.st_nlink,
        stat.st_size,
        stat.st_blocks,
        stat.st_mtime_ns // _NANOSECONDS,
        stat.st_mtime_ns % _NANOSECONDS,
    )
    entry.generation = stat.generation
    entry.attr_timeout, entry.entry_timeout = stat.attr_timeout, stat.entry_timeout
    stat.native = entry
    return entry


def entry(request: "CData", stat: pyfuse3.EntryAttributes) -> None:
    """Answer with what a name stands for."""
    lib.fuse_reply_entry(request, _native(stat))


def attributes(request: "CData", stat: pyfuse3.EntryAttributes) -> None:
    """Answer with attributes."""
    lib.pmxcfs_reply_attributes(request, _native(stat))


def done(request: "CData", result: None) -> None:
    """Answer that all went well."""
    lib.fuse_reply_err(request, 0)


def data(request: "CData", data: bytes) -> None:
    """Answer with what was read."""
    lib.fuse_reply_buf(request, data, len(data))


def target(request: "CData", target: bytes) -> None:
    """Answer with where a link points to."""
    lib.fuse_reply_readlink(request, target)


def opened(request: "CData", file: pyfuse3.FileInfo) -> None:
    """Answer with an open file."""
    lib.pmxcfs_reply_open(request, file.fh, _flags(file))


def handle(request: "CData", handle: int) -> None:
    """Answer with an open directory."""
    lib.pmxcfs_reply_open(request, handle, 0)


def cached_handle(request: "CData", handle: int) -> None:
    """Answer with an open directory that the kernel lists from its memory."""
    lib.pmxcfs_reply_open(request, handle, lib.PMXCFS_CACHE_DIR | lib.PMXCFS_KEEP_CACHE)


def new_handle(request: "CData", handle: int) -> None:
    """Answer with an open directory of which the kernel is to make a memory anew."""
    lib.pmxcfs_reply_open(request, handle, lib.PMXCFS_CACHE_DIR)


def created(request: "CData", made: tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]) -> None:
    """Answer with a new file, open."""
    file, stat = made
    lib.pmxcfs_reply_create(request, _native(stat), file.fh, _flags(file))


def written(request: "CData", count: int) -> None:
    """Answer how much was written."""
    lib.fuse_reply_write(request, count)


def statfs(request: "CData", numbers: pyfuse3.StatvfsData) -> None:
    """Answer with sizes and limits."""
    lib.pmxcfs_reply_statfs(
        request,
        numbers.f_bsize,
        numbers.f_blocks,
        numbers.f_bfree,
        numbers.f_files,
        numbers.f_ffree,
        numbers.f_namemax,
    )


def _flags(file: pyfuse3.FileInfo) -> int:
    flags = lib.PMXCFS_DIRECT_IO if file.direct_io else 0
    return flags | (lib.PMXCFS_KEEP_CACHE if file.keep_cache else 0)


class Names:
    """The answer to a request for names of a directory, with their attributes."""

    def __init__(self, request: "CData", size: int) -> None:
        self._request = request
        self._left = size
        self._parts: list[bytes] = []

    def add(self, name: bytes, stat: pyfuse3.EntryAttributes, position: int) -> bool:
        """Add a name; false means that there is no room for it."""
        part = _listed(stat) if position > ENTRIES_FROM else None
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

    def _encoded(self, name: bytes, stat: pyfuse3.EntryAttributes, position: int) -> bytes:
        """Return a name as part of a listing. That of an entry of the tree is always the same."""
        size: int = lib.fuse_add_direntry_plus(
            self._request, _buffer, _PART_BYTES_MAX, name, _native(stat), position
        )
        part = bytes(ffi.buffer(_buffer, size))
        if position > ENTRIES_FROM:
            cast("Stat", stat).listed = part
        return part


def _listed(stat: pyfuse3.EntryAttributes) -> bytes | None:
    try:
        return cast("Stat", stat).listed
    except AttributeError:
        return None
