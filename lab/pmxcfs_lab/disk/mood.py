"""How the disk behaves: well, full, failing, slow. Pure."""

import errno
from dataclasses import dataclass

SPARED_SUFFIX = "-shm"
"""SQLite's shared memory never needs to get onto a disk."""


@dataclass(frozen=True, slots=True)
class Mood:
    """What is wrong with the disk now; the default is nothing.

    Attributes:
        full: no file can grow, and none can be made.
        failing: which of "read", "write" and "fsync" end in EIO.
        delay_ms: how much longer each of these takes.
    """

    full: bool = False
    failing: tuple[str, ...] = ()
    delay_ms: float = 0.0

    def error(self, call: str, name: str, *, grows: bool = False) -> int | None:
        """Return the errno of a call, or None if it succeeds.

        Args:
            call: "read", "write", "fsync" or "create".
            name: of the file.
            grows: whether it takes more room.
        """
        if name.endswith(SPARED_SUFFIX):
            return None
        if call in self.failing:
            return errno.EIO
        if self.full and (grows or call == "create"):
            return errno.ENOSPC
        return None

    def delays(self, name: str) -> bool:
        """Tell if calls for the file take longer."""
        return not name.endswith(SPARED_SUFFIX)


WELL = Mood()
