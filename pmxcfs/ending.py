"""The end of the process has a bound too: the service manager's patience is ten seconds.

Each step of the end has a bound of its own. If they add up all the same, or one of them hangs in a
call that cannot be interrupted, the process ends without finishing, and says what it waited for.
Nothing that was answered is lost by that: it was committed before.
"""

import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from pmxcfs.exits import ExitStatus

log = structlog.get_logger("main")

END_S_MAX = 9.0


class Ending:
    """A timer that runs from the first wish to end.

    Args:
        within_s: how long the end may take.
        leave: ends the process with an exit status, whatever is still going on.
    """

    def __init__(
        self, within_s: float = END_S_MAX, leave: Callable[[int], object] = os._exit
    ) -> None:
        self._within_s = within_s
        self._leave = leave
        self._waits_for = "requests of the mount"
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Start the timer; nothing happens if it runs."""
        if self._timer is None:
            self._timer = threading.Timer(self._within_s, self._give_up)
            self._timer.daemon = True
            self._timer.start()

    def wait_for(self, what: str) -> None:
        """Note what the end waits for from here on."""
        self._waits_for = what

    @asynccontextmanager
    async def then_for(self, what: str) -> AsyncIterator[None]:
        """Note what the end waits for once the block has ended."""
        try:
            yield
        finally:
            self.wait_for(what)

    def over(self) -> None:
        """The end has come by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self) -> None:
        log.critical(
            "the end takes too long, leaving at once; what was answered is in the database",
            waits_for=self._waits_for,
            waited_s=self._within_s,
        )
        self._leave(ExitStatus.FAILURE)
