"""When a lost service of corosync is tried again, and how much of it is logged."""

import time
from dataclasses import dataclass

import trio
from structlog.typing import FilteringBoundLogger

from pmxcfs.corosync.handle import CorosyncError


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient we are with corosync.

    Attributes:
        tick_s: a service that ended is started again after this long at the earliest.
        gap_s: at least this long lies between two attempts to start a service.
        retry_s_max: how long to wait before a request that found corosync busy is repeated.
        stall_s_max: messages that corosync takes none of for this long go back to the sender.
        close_s_max: how long leaving and closing may take before the connection is cut.
        answer_s_max: how long any other request may take before the connection is cut.
    """

    tick_s: float = 1.0
    gap_s: float = 6.0
    retry_s_max: float = 0.1
    stall_s_max: float = 10.0
    close_s_max: float = 2.0
    answer_s_max: float = 10.0


PAUSE_S_MAX = 60.0
"""Who leaves its group again and again costs all others a synchronisation each time."""

CALM_S = 300.0
"""After so long in the group, leaving it is no repetition."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a service of corosync cannot be used, in words, and since when (UNIX seconds)."""

    sentence: str
    since_s: int


class Restarts:
    """Spaces the attempts to start one service and logs the first failure of a series.

    Args:
        log: the logger of the service's domain.
        timing: how far the attempts are apart.

    Attributes:
        trouble: what keeps the service from working; None if nothing that we know of.

    Source: docs/PROTOCOL.md, "corosync".
    """

    def __init__(self, log: FilteringBoundLogger, timing: Timing) -> None:
        self._log = log
        self._timing = timing
        self._last_attempt_s: float | None = None
        self._is_failing = False
        self.trouble: Trouble | None = None
        self._left_at_s: float | None = None
        self._leaves = 0

    async def turn(self) -> None:
        """Wait until the next attempt is due; the first is due at once."""
        now_s = trio.current_time()
        if self._last_attempt_s is not None:
            soonest_s = now_s + self._timing.tick_s
            soonest_s = max(soonest_s, self._last_attempt_s + self._timing.gap_s)
            await trio.sleep_until(max(soonest_s, now_s + self._pause_s()))
        self._last_attempt_s = trio.current_time()

    def note_left(self) -> None:
        """We leave of our own accord, to come back; each time in a row we stay away for longer."""
        now_s = trio.current_time()
        is_repeated = self._left_at_s is not None and now_s - self._left_at_s < CALM_S
        self._leaves = self._leaves + 1 if is_repeated else 1
        self._left_at_s = now_s
        if self._leaves > 1:
            self._log.warning(
                "left again, waiting before we come back",
                times=self._leaves,
                pause_s=self._pause_s(),
            )

    def _pause_s(self) -> float:
        if self._leaves <= 1:
            return 0.0
        return min(self._timing.gap_s * 2.0 ** (self._leaves - 2), PAUSE_S_MAX)

    def note_failure(self, error: CorosyncError) -> None:
        """An attempt failed or a running service broke."""
        if not self._is_failing:
            self._log.warning("cannot use corosync, trying again until it works", error=str(error))
        self._is_failing = True
        self._note_trouble(str(error))

    def note_silence(self) -> None:
        """Corosync keeps us waiting for a connection; may be called from any thread."""
        self._note_trouble("corosync does not answer, it does not let us connect")
        self._log.warning(
            "corosync does not answer, waiting for it to let us connect",
            waited_s=self._timing.answer_s_max,
        )

    def note_success(self) -> None:
        """The service runs."""
        if self._is_failing:
            self._log.info("corosync works again")
        self._is_failing = False
        self.trouble = None

    def _note_trouble(self, sentence: str) -> None:
        since_s = int(time.time()) if self.trouble is None else self.trouble.since_s
        self.trouble = Trouble(sentence, since_s)
