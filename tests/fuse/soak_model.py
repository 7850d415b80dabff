"""The operations of the soak in two versions: on a real mount, and on files that are byte arrays.

Both take an Operation and return an Answer, or raise OSError with the errno that is the answer.
"""

import contextlib
import errno
import mmap
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

LIMIT_BYTES = 1024 * 1024
"""No file is longer."""

FLAGS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY,
    "rw": os.O_RDWR,
    "append": os.O_APPEND,
    "creat": os.O_CREAT,
    "excl": os.O_EXCL,
    "trunc": os.O_TRUNC,
}

Answer = int | bytes | None


@dataclass(frozen=True, slots=True)
class Operation:
    """A word and what it needs; ``str`` gives the line of a transcript, ``parse`` takes it back.

    Files have names, open files have slots. Written data are made of a stamp, a number.
    """

    word: str
    arguments: tuple[str | int, ...]

    def __str__(self) -> str:
        return " ".join(map(str, (self.word, *self.arguments)))

    @classmethod
    def parse(cls, line: str) -> "Operation":
        word, *rest = line.split()
        return cls(word, tuple(int(part) if part.isdecimal() else part for part in rest))


def data_of(stamp: int, length: int) -> bytes:
    """Return the bytes of a stamp, none of which is 0: zeros are what holes are made of."""
    unit = random.Random(stamp).randbytes(997).replace(b"\0", b"\1")
    return (unit * (length // len(unit) + 1))[:length]


def perform(on: "Mount | Model", operation: Operation) -> Answer:
    """Do an operation on one of the two.

    Raises:
        OSError: it was refused.
    """
    answer: Answer = getattr(on, operation.word)(*operation.arguments)
    return answer


class Mount:
    """Files in a directory of a mount."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._slots: dict[int, int] = {}

    def open(self, slot: int, name: str, flags: str) -> None:
        """Open a file in a slot; whatever was open there is closed first."""
        self.close(slot)
        bits = sum(FLAGS[flag] for flag in flags.split(","))
        self._slots[slot] = os.open(self._directory / name, bits, 0o640)

    def close(self, slot: int) -> None:
        descriptor = self._slots.pop(slot, None)
        if descriptor is not None:
            os.close(descriptor)

    def close_all(self) -> None:
        for slot in list(self._slots):
            self.close(slot)

    def pread(self, slot: int, offset: int, length: int) -> bytes:
        return os.pread(self._slots[slot], length, offset)

    def pwrite(self, slot: int, offset: int, length: int, stamp: int) -> int:
        return os.pwrite(self._slots[slot], data_of(stamp, length), offset)

    def read(self, slot: int, length: int) -> bytes:
        return os.read(self._slots[slot], length)

    def write(self, slot: int, length: int, stamp: int) -> int:
        return os.write(self._slots[slot], data_of(stamp, length))

    def map(self, slot: int, page: int, pages: int) -> bytes:
        """Read through a private mapping, up to the end of the file."""
        return self._mapped(slot, page, pages, mmap.MAP_PRIVATE)

    def mapshared(self, slot: int, page: int, pages: int) -> bytes:
        """Read through a shared mapping, up to the end of the file."""
        return self._mapped(slot, page, pages, mmap.MAP_SHARED)

    def _mapped(self, slot: int, page: int, pages: int, kind: int) -> bytes:
        at = page * mmap.PAGESIZE
        length = min(pages * mmap.PAGESIZE, os.fstat(self._slots[slot]).st_size - at)
        if length <= 0:
            return b""
        with mmap.mmap(self._slots[slot], length, kind, mmap.PROT_READ, offset=at) as mapping:
            return mapping[:]

    def mapwrite(self, slot: int, offset: int, length: int, stamp: int) -> int:
        """Overwrite through a shared mapping, up to the end of the file; return how much."""
        length = min(length, os.fstat(self._slots[slot]).st_size - offset)
        if length <= 0:
            return 0
        page = offset // mmap.PAGESIZE * mmap.PAGESIZE
        access = mmap.PROT_READ | mmap.PROT_WRITE
        with mmap.mmap(
            self._slots[slot], offset - page + length, mmap.MAP_SHARED, access, offset=page
        ) as mapping:
            mapping[offset - page :] = data_of(stamp, length)
            if stamp % 2:
                mapping.flush()
        return length

    def ftruncate(self, slot: int, size: int) -> None:
        os.ftruncate(self._slots[slot], size)

    def fsync(self, slot: int) -> None:
        os.fsync(self._slots[slot])

    def fdatasync(self, slot: int) -> None:
        os.fdatasync(self._slots[slot])

    def fsize(self, slot: int) -> int:
        return os.fstat(self._slots[slot]).st_size

    def truncate(self, name: str, size: int) -> None:
        os.truncate(self._directory / name, size)

    def unlink(self, name: str) -> None:
        (self._directory / name).unlink()

    def rename(self, name: str, new_name: str) -> None:
        (self._directory / name).rename(self._directory / new_name)

    def size(self, name: str) -> int:
        return (self._directory / name).stat().st_size

    def content(self, name: str) -> bytes:
        """Read a whole file through a descriptor of its own."""
        return (self._directory / name).read_bytes()

    def names(self) -> bytes:
        """Return all names, sorted and joined by spaces."""
        return " ".join(sorted(path.name for path in self._directory.iterdir())).encode()


@dataclass(slots=True)
class _Open:
    data: bytearray
    is_readable: bool
    is_writable: bool
    is_append: bool
    position: int = 0


@dataclass(slots=True)
class Model:
    """Files in memory, with the rules of the mount.

    ``seen`` is what the mount answered to the operation that is about to be done here. It decides
    the one question that has two right answers: a write that crosses the limit may be refused as a
    whole or be short, because the kernel cuts it into requests as it likes.
    """

    seen: Answer = None
    files: dict[str, bytearray] = field(default_factory=dict)
    slots: dict[int, _Open] = field(default_factory=dict)

    def open(self, slot: int, name: str, flags: str) -> None:
        words = flags.split(",")
        self.close(slot)
        data = self.files.get(name)
        if data is None and "creat" not in words:
            raise OSError(errno.ENOENT, name)
        if data is not None and {"creat", "excl"} <= set(words):
            raise OSError(errno.EEXIST, name)
        if data is None:
            data = self.files[name] = bytearray()
        if "trunc" in words:
            data.clear()
        self.slots[slot] = _Open(data, "w" not in words, "r" not in words, "append" in words)

    def close(self, slot: int) -> None:
        self.slots.pop(slot, None)

    def pread(self, slot: int, offset: int, length: int) -> bytes:
        return bytes(self._readable(slot).data[offset : offset + length])

    def pwrite(self, slot: int, offset: int, length: int, stamp: int) -> int:
        file = self._writable(slot)
        return self._put(file.data, len(file.data) if file.is_append else offset, length, stamp)

    def read(self, slot: int, length: int) -> bytes:
        file = self._readable(slot)
        answer = bytes(file.data[file.position : file.position + length])
        file.position += len(answer)
        return answer

    def write(self, slot: int, length: int, stamp: int) -> int:
        file = self._writable(slot)
        if not length:
            return 0  # the kernel does not even go to the end
        offset = len(file.data) if file.is_append else file.position
        count = self._put(file.data, offset, length, stamp)
        file.position = offset + count
        return count

    def map(self, slot: int, page: int, pages: int) -> bytes:
        file = self.slots[slot]
        at = page * mmap.PAGESIZE
        if not file.is_readable and len(file.data) > at:
            raise OSError(errno.EACCES, "not open for reading")
        return bytes(file.data[at : at + pages * mmap.PAGESIZE])

    def mapshared(self, slot: int, page: int, pages: int) -> bytes:
        return self.map(slot, page, pages)

    def mapwrite(self, slot: int, offset: int, length: int, stamp: int) -> int:
        file = self.slots[slot]
        length = min(length, len(file.data) - offset)
        if length <= 0:
            return 0
        if not (file.is_readable and file.is_writable):
            raise OSError(errno.EACCES, "not open for reading and writing")
        file.data[offset : offset + length] = data_of(stamp, length)
        return length

    def ftruncate(self, slot: int, size: int) -> None:
        file = self.slots[slot]
        if not file.is_writable:
            raise OSError(errno.EINVAL, "not open for writing")
        _resize(file.data, size)

    def fsync(self, slot: int) -> None:
        """Nothing that could be seen."""

    def fdatasync(self, slot: int) -> None:
        """Nothing that could be seen."""

    def fsize(self, slot: int) -> int:
        return len(self.slots[slot].data)

    def truncate(self, name: str, size: int) -> None:
        _resize(self._named(name), size)

    def unlink(self, name: str) -> None:
        self._named(name)
        del self.files[name]

    def rename(self, name: str, new_name: str) -> None:
        data = self._named(name)
        del self.files[name]
        self.files[new_name] = data

    def size(self, name: str) -> int:
        return len(self._named(name))

    def content(self, name: str) -> bytes:
        return bytes(self._named(name))

    def names(self) -> bytes:
        return " ".join(sorted(self.files)).encode()

    def _put(self, data: bytearray, offset: int, length: int, stamp: int) -> int:
        if offset + length > LIMIT_BYTES:
            length = self._allowed_beyond_limit(offset, length)
        if length:
            data.extend(bytes(max(0, offset - len(data))))
            data[offset : offset + length] = data_of(stamp, length)
        return length

    def _allowed_beyond_limit(self, offset: int, length: int) -> int:
        is_short = isinstance(self.seen, int) and 0 < self.seen < length
        if isinstance(self.seen, int) and is_short and offset + self.seen <= LIMIT_BYTES:
            return self.seen
        if not length:
            return 0
        raise OSError(errno.EFBIG, "longer than a file may be")

    def _named(self, name: str) -> bytearray:
        with contextlib.suppress(KeyError):
            return self.files[name]
        raise OSError(errno.ENOENT, name)

    def _readable(self, slot: int) -> _Open:
        if not self.slots[slot].is_readable:
            raise OSError(errno.EBADF, "not open for reading")
        return self.slots[slot]

    def _writable(self, slot: int) -> _Open:
        if not self.slots[slot].is_writable:
            raise OSError(errno.EBADF, "not open for writing")
        return self.slots[slot]


def _resize(data: bytearray, size: int) -> None:
    if size > LIMIT_BYTES:
        raise OSError(errno.EFBIG, "longer than a file may be")
    del data[size:]
    data.extend(bytes(size - len(data)))
