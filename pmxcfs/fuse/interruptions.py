"""Callers that were interrupted while they wait for us, and which of them want to wait no more.

The kernel tells of a signal once for each request, whatever the signal. A child that ended is no
reason to leave a change without its answer, so the pending signals are looked at: as long as the
caller waits in the kernel, they stay pending.
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

GRACE_S = 1.0
"""What is answered within this is answered: nobody needs an EINTR for what was about to succeed."""

_HARMLESS = {
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGURG,
    signal.SIGWINCH,
}
"""Those that end nobody who has not asked to be told of them; see signal(7)."""
_HARMLESS_BITS = sum(1 << (number - 1) for number in _HARMLESS)


def wants_out(thread: int) -> bool:
    """Whether a signal that would end it, or that it handles, waits for this thread.

    A thread that is not to be seen, since it is gone or in a pid namespace beside ours, wants out.
    """
    try:
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
    except OSError:
        return True
    bits = {
        name: int(value, 16)
        for name, _, value in (line.partition(":") for line in lines)
        if name in ("SigPnd", "ShdPnd", "SigBlk")
    }
    pending = (bits["SigPnd"] | bits["ShdPnd"]) & ~bits["SigBlk"]
    return bool(pending & ~_HARMLESS_BITS)


class Interruptions:
    """The requests under way of which the kernel said that their callers were interrupted."""

    def __init__(self) -> None:
        self._callers: dict[CData, tuple[int, float]] = {}

    def begin(self, request: "CData", thread: int) -> None:
        """Note that a thread was interrupted while it waits for a request."""
        self._callers[request] = thread, trio.current_time()

    def end(self, request: "CData") -> None:
        """Note that a request is answered."""
        self._callers.pop(request, None)

    def due(self) -> "list[CData]":
        """Return the requests whose callers have waited on for long enough, and want out."""
        latest_s = trio.current_time() - GRACE_S
        return [
            request
            for request, (thread, since_s) in self._callers.items()
            if since_s <= latest_s and wants_out(thread)
        ]
