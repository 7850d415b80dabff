"""Lets the porter know, without a message, whether what the daemon answered is still so.

Daemon and porter share a page with one number, the *state*. It rises before any task of the daemon
gets its turn, but for the two that carry answers, and before one of these changes anything. What
changes, and whoever is told of it, comes after that. So as long as the number is the same, the same
question has the same answer, and the porter may give it again by itself.

The porter counts in the same page what it has answered so.

Source: docs/decisions/0013-the-porter-remembers-answers.md.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Nobody who has the page can take it away under the other: that would be SIGBUS."""

_STATE = 0
_COUNTS = 8
"""Places in the page, in numbers of 8 bytes; the counts are in a cache line of their own."""

REQUESTS_MAX = 32
"""Requests whose answers are counted, by their numbers."""


class Page:
    """The shared page.

    Args:
        fd: of the page, which is closed by this; a new one without.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _make() if fd is None else fd
        self._memory = mmap.mmap(self.fd, mmap.PAGESIZE)
        self._numbers = memoryview(self._memory).cast("Q")

    @property
    def state(self) -> int:
        """The number that is the same for as long as nothing can have changed."""
        return self._numbers[_STATE]

    def move_on(self) -> None:
        """Say that from now on anything may change. Part of every step of the daemon: cheap."""
        self._numbers[_STATE] += 1

    def count(self, request: int) -> None:
        """Count an answer that was given again."""
        if 0 <= request < REQUESTS_MAX:
            self._numbers[_COUNTS + request] += 1

    def counts(self) -> Mapping[int, int]:
        """Return how many answers were given again, by the number of the request."""
        counts: Iterator[int] = iter(self._numbers[_COUNTS : _COUNTS + REQUESTS_MAX])
        return {number: count for number, count in enumerate(counts) if count}


def _make() -> int:
    fd = os.memfd_create("pmxcfs-ipc", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, mmap.PAGESIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd
