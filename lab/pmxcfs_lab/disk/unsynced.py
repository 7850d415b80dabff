"""What a file would lose if the power went now: sectors, and its size, since it was last synced."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

SECTOR_SIZE = 512
"""What a disk writes whole or not at all."""

ReadAt = Callable[[int, int], bytes]
"""Returns up to so many bytes (second) from an offset (first) of the file as it is now."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What becomes of a file.

    Attributes:
        size: how long it is afterwards.
        restored: old content by offset, to be written back below that size.
        lost: how many sectors did not reach the disk.
        kept: how many did by chance.
    """

    size: int
    restored: dict[int, bytes]
    lost: int
    kept: int


@dataclass(slots=True)
class Unsynced:
    """One file's difference from what is on the disk for sure.

    Attributes:
        size: of the file on the disk; None as long as nothing differs.
        sectors: number -> what the disk has there, zeros behind the file's end.
    """

    size: int | None = None
    sectors: dict[int, bytes] = field(default_factory=dict)

    def note_write(self, offset: int, length: int, size: int, read_at: ReadAt) -> None:
        """Remember what is about to be overwritten.

        Args:
            offset: of the write.
            length: of the write.
            size: of the file before it.
            read_at: reads the file before it.
        """
        self._remember_size(size)
        for sector in range(offset // SECTOR_SIZE, -(-(offset + length) // SECTOR_SIZE)):
            if sector not in self.sectors:
                old = read_at(sector * SECTOR_SIZE, SECTOR_SIZE)
                self.sectors[sector] = old.ljust(SECTOR_SIZE, b"\0")

    def note_size(self, new_size: int, size: int, read_at: ReadAt) -> None:
        """Remember what is about to be cut off, or that the file grows."""
        self._remember_size(size)
        if new_size < size:
            self.note_write(new_size, size - new_size, size, read_at)

    def note_sync(self) -> None:
        """Forget all: it is on the disk."""
        self.size = None
        self.sectors.clear()

    def lose(self, size: int, chance: Random, keep: float) -> Loss:
        """Return what is left when the power goes.

        Args:
            size: of the file now.
            chance: decides for each sector.
            keep: share of the sectors that reached the disk nevertheless, in any order.
        """
        if self.size is None:
            return Loss(size, {}, 0, 0)
        kept = [sector for sector in sorted(self.sectors) if chance.random() < keep]
        has_new_size = chance.random() < keep
        if size >= self.size:
            ends = [min(size, (sector + 1) * SECTOR_SIZE) for sector in kept]
            left = size if has_new_size else max(self.size, *ends, 0)
        else:
            left = size if has_new_size else self.size
        restored = {
            sector * SECTOR_SIZE: old[: max(0, left - sector * SECTOR_SIZE)]
            for sector, old in sorted(self.sectors.items())
            if sector not in kept and sector * SECTOR_SIZE < left
        }
        return Loss(left, restored, len(self.sectors) - len(kept), len(kept))

    def _remember_size(self, size: int) -> None:
        if self.size is None:
            self.size = size
