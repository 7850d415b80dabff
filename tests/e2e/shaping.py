"""Makes a tree of a shape that a seed decides, on a mount: ``python -m tests.e2e.shaping SEED``.

Names of 1 to 255 bytes, UTF-8 or not, empty and large files, deep directories, guests, locks, odd
times; much of it is moved, overwritten and removed again. What is refused is left out.
"""

# Names that are not UTF-8 are bytes, which Path does not take.
# ruff: noqa: PTH102, PTH113, PTH123

import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress

MOUNT = b"/etc/pve"
NAME_BYTES = b"abcdefgh\xff\xc3 \xa9.-_"
SIZES_BYTES = (0, 1, 10, 500, 4096, 70_000, 1_048_576)
TIMES_S = (0, 1, 1_700_000_000, 2**31, 2**32 - 1)
GUEST_KINDS = (b"qemu-server", b"lxc")


class Shaper:
    """Changes a tree by chance."""

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(seed)
        self._names = [self._name() for _ in range(12)]
        self._directories = [MOUNT]

    def run(self) -> None:
        """Make it."""
        for path in (b"priv", b"priv/lock", b"nodes", b"nodes/a", b"nodes/b"):
            self._try(os.mkdir, MOUNT + b"/" + path)
        for node in (b"a", b"b"):
            for kind in GUEST_KINDS:
                self._try(os.mkdir, b"%s/nodes/%s/%s" % (MOUNT, node, kind))
        acts = [self._make_directory, self._write, self._write, self._write, self._extend]
        acts += [self._set_time, self._remove, self._move, self._configure_guest, self._lock]
        for _ in range(self._chance.choice((10, 60, 250))):
            self._chance.choice(acts)()

    def _name(self) -> bytes:
        length = self._chance.choice((1, 3, 8, 40, 200, 255))
        name = bytes(self._chance.choice(NAME_BYTES) for _ in range(length))
        return b"plain" if name in (b".", b"..") else name

    def _path(self) -> bytes:
        return self._chance.choice(self._directories) + b"/" + self._chance.choice(self._names)

    def _try(self, call: Callable[..., object], *arguments: object) -> None:
        with suppress(OSError):
            call(*arguments)

    def _make_directory(self) -> None:
        path = self._path()
        with suppress(OSError):
            os.mkdir(path)
            self._directories.append(path)

    def _write(self) -> None:
        size = self._chance.choice(SIZES_BYTES)
        with suppress(OSError), open(self._path(), "wb") as file:
            file.write(self._chance.randbytes(size))

    def _extend(self) -> None:
        """Append, or extend by truncation; an empty file kills the reference when it is read."""
        path = self._path()
        with suppress(OSError), open(path, "ab") as file:
            file.write(b"more")
        if os.path.isfile(path):
            self._try(os.truncate, path, self._chance.choice((1, 5000)))

    def _set_time(self) -> None:
        self._try(os.utime, self._path(), (5, self._chance.choice(TIMES_S)))

    def _remove(self) -> None:
        self._try(os.unlink, self._path())

    def _move(self) -> None:
        self._try(os.rename, self._path(), self._path())

    def _configure_guest(self) -> None:
        node, kind = self._chance.choice((b"a", b"b")), self._chance.choice(GUEST_KINDS)
        vmid = self._chance.randrange(100, 130)
        path = b"%s/nodes/%s/%s/%d.conf" % (MOUNT, node, kind, vmid)
        with suppress(OSError), open(path, "wb") as file:
            file.write(b"memory: %d\n" % vmid)

    def _lock(self) -> None:
        self._try(os.mkdir, b"%s/priv/lock/l%d" % (MOUNT, self._chance.randrange(20)))


if __name__ == "__main__":
    Shaper(sys.argv[1]).run()
