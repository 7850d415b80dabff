"""What the driver needs of the world outside: a group, and somebody who knows the kernel's memory.

The database is described in ``pmxcfs.committing``.
"""

from collections.abc import Sequence
from typing import Protocol

from pmxcfs.memdb.entry import Change


class Group(Protocol):
    """The closed process group that carries the changes."""

    def multicast(self, data: bytes) -> None:
        """Send to all members, ourselves included; never blocks. A failure comes as an event."""

    def leave(self, *, for_good: bool) -> None:
        """Leave, and join again unless ``for_good``; never blocks."""


class News(Protocol):
    """What requests wait for, so that who takes requests can hear of it between two of them."""

    @property
    def descriptor(self) -> int:
        """What becomes readable with the next news; -1 while the event loop has to turn first."""

    def hear(self) -> None:
        """Take in the news that are there, and do all that follows; never blocks."""


class NoNews:
    """For when nobody can be heard in between."""

    descriptor = -1

    def hear(self) -> None:
        """There is nothing."""


class KernelCache(Protocol):
    """What the kernel remembers of the tree; never blocks."""

    def forget(self, changes: Sequence[Change], *, is_own: bool = False) -> None:
        """These entries are not what they were; ``is_own``: somebody on this node changed them."""

    def forget_all(self) -> None:
        """Nothing can be relied upon, modes included."""


class NoKernelCache:
    """For when nothing is mounted."""

    def forget(self, changes: Sequence[Change], *, is_own: bool = False) -> None:
        """Nothing is cached."""

    def forget_all(self) -> None:
        """Nothing is cached."""
