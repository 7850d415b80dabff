"""How many RRD files there may be: each new name that somebody publishes makes one, on every node.

A file has one to one and a half megabytes from its first value on, and nobody removes it. So a
client or a node that publishes under ever new names would fill the disks of all nodes.
"""

import os
import time
from pathlib import Path

FILES_MAX = 32_768
"""Of nodes, guests and storages, those of the past among them: what no cluster has."""

FREE_BYTES_MIN = 64 * 1024 * 1024
"""What has to be left on that disk, on which the database may be as well."""

COUNT_PERIOD_S = 60.0
"""Files that somebody removed make room after at most that long."""


class NoRoomError(Exception):
    """No further file is made; the text says why."""


class Room:
    """What there is room for in the directory of all RRD files.

    Args:
        directory: of all RRD files.
        files_max: how many there may be.
        free_bytes_min: how much of its disk has to be free for another one.

    Attributes:
        is_full: whether the last file that was to be made was not.
    """

    def __init__(
        self,
        directory: Path,
        *,
        files_max: int = FILES_MAX,
        free_bytes_min: int = FREE_BYTES_MIN,
    ) -> None:
        self.is_full = False
        self._directory = directory
        self._files_max = files_max
        self._free_bytes_min = free_bytes_min
        self._count: int | None = None
        self._counted_s = 0.0

    def take(self) -> None:
        """Have one more file; to be called before it is made.

        Raises:
            NoRoomError: there are too many, or too little of the disk is free.
        """
        self.is_full = True
        if self._files() >= self._files_max:
            raise NoRoomError(f"there are {self._count} RRD files already")
        free_bytes = os.statvfs(self._directory)
        if free_bytes.f_bavail * free_bytes.f_frsize < self._free_bytes_min:
            raise NoRoomError(f"less than {self._free_bytes_min >> 20} MiB of the disk are free")
        self.is_full = False
        self._count = self._files() + 1

    def _files(self) -> int:
        """Return how many files there are: counted once, and again while there are too many."""
        now_s = time.monotonic()
        is_old = now_s - self._counted_s >= COUNT_PERIOD_S
        if self._count is None or (self._count >= self._files_max and is_old):
            self._counted_s = now_s
            self._count = sum(len(files) for _, _, files in os.walk(self._directory))
        return self._count
