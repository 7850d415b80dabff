"""Chooses the next operation of a soak: likely sizes, likely offsets, and every limit now and then.

It looks at the model, so that most operations make sense; those that don't are in it on purpose.
"""

import random
from collections.abc import Callable

from tests.fuse.soak_model import LIMIT_BYTES, Model, Operation

NAMES = ("a", "b", "c", "d")
SLOTS = range(6)

REACH_BYTES = 160 * 1024
"""Most offsets are below: beyond one request of 128 KiB, and not so far that it gets slow."""

EDGES = (4096, 65536, 128 * 1024, LIMIT_BYTES)

_ACCESS = ("r", "w", "rw", "rw", "rw")


class Choice:
    """Chance, with its favourites."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._words: dict[str, tuple[int, Callable[[Model], Operation]]] = {
            "open": (14, self._open),
            "close": (4, self._slot_alone("close")),
            "pwrite": (22, self._pwrite),
            "pread": (16, self._pread),
            "write": (8, self._write),
            "read": (4, self._read),
            "map": (4, self._map),
            "mapshared": (4, self._mapshared),
            "mapwrite": (5, self._mapwrite),
            "ftruncate": (7, self._ftruncate),
            "truncate": (4, self._truncate),
            "fsync": (1, self._slot_alone("fsync")),
            "fdatasync": (1, self._slot_alone("fdatasync")),
            "fsize": (3, self._slot_alone("fsize")),
            "unlink": (3, self._name_alone("unlink")),
            "rename": (4, self._rename),
            "size": (3, self._name_alone("size")),
            "content": (6, self._name_alone("content")),
            "names": (1, lambda _: Operation("names", ())),
        }
        self._weights = [weight for weight, _ in self._words.values()]

    def next(self, model: Model) -> Operation:
        """Return what to do next."""
        if not model.slots:
            return self._open(model)
        (word,) = self._chance.choices(list(self._words), self._weights)
        return self._words[word][1](model)

    def _open(self, model: Model) -> Operation:
        flags = [self._chance.choice(_ACCESS)]
        flags += [flag for flag in ("append", "excl") if self._chance.random() < 0.15]
        if "excl" in flags or self._chance.random() < 0.7:
            flags.append("creat")
        if flags[0] != "r" and self._chance.random() < 0.25:
            flags.append("trunc")
        return Operation("open", (self._chance.choice(SLOTS), self._name(), ",".join(flags)))

    def _pwrite(self, model: Model) -> Operation:
        slot, size = self._slot(model)
        return Operation("pwrite", (slot, self._offset(size), self._length(), self._stamp()))

    def _write(self, model: Model) -> Operation:
        return Operation("write", (self._slot(model)[0], self._length(), self._stamp()))

    def _pread(self, model: Model) -> Operation:
        slot, size = self._slot(model)
        return Operation("pread", (slot, self._offset(size), self._length()))

    def _read(self, model: Model) -> Operation:
        return Operation("read", (self._slot(model)[0], self._length()))

    def _map(self, model: Model) -> Operation:
        slot, size = self._slot(model)
        pages = size // 4096 + 1
        return Operation("map", (slot, self._chance.randrange(pages), self._chance.randint(1, 8)))

    def _mapshared(self, model: Model) -> Operation:
        return Operation("mapshared", self._map(model).arguments)

    def _mapwrite(self, model: Model) -> Operation:
        slot, size = self._slot(model)
        offset = self._chance.randint(0, size)
        return Operation("mapwrite", (slot, offset, self._length(), self._stamp()))

    def _ftruncate(self, model: Model) -> Operation:
        slot, size = self._slot(model)
        return Operation("ftruncate", (slot, self._offset(size)))

    def _truncate(self, model: Model) -> Operation:
        name = self._name()
        return Operation("truncate", (name, self._offset(len(model.files.get(name, b"")))))

    def _rename(self, model: Model) -> Operation:
        return Operation("rename", (self._name(), self._name()))

    def _slot_alone(self, word: str) -> Callable[[Model], Operation]:
        return lambda model: Operation(word, (self._slot(model)[0],))

    def _name_alone(self, word: str) -> Callable[[Model], Operation]:
        return lambda _: Operation(word, (self._name(),))

    def _slot(self, model: Model) -> tuple[int, int]:
        """Return one that is in use, and the size of its file."""
        slot = self._chance.choice(sorted(model.slots))
        return slot, len(model.slots[slot].data)

    def _name(self) -> str:
        return self._chance.choice(NAMES)

    def _stamp(self) -> int:
        return self._chance.randrange(1_000_000)

    def _offset(self, size: int) -> int:
        """Return a place in the file, at its end, at an edge, or where nothing can be."""
        kind = self._chance.random()
        if kind < 0.45:
            return self._chance.randint(0, size)
        if kind < 0.60:
            return size
        if kind < 0.85:
            return self._chance.randrange(REACH_BYTES)
        if kind < 0.99:
            return max(0, self._chance.choice((*EDGES[:3], size)) + self._chance.randint(-2, 2))
        return self._chance.choice((EDGES[3], EDGES[3], 2**31, 2**32)) + self._chance.randint(-9, 9)

    def _length(self) -> int:
        """Return a few bytes mostly, some pages often, and more than a file can have rarely."""
        kind = self._chance.random()
        if kind < 0.60:
            return self._chance.randint(0, 500)
        if kind < 0.90:
            return self._chance.randint(1, 20_000)
        if kind < 0.995:
            return self._chance.randint(1, REACH_BYTES)
        return self._chance.randint(1, LIMIT_BYTES + 9000)
