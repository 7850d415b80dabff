"""Where log lines go, in the reference's shape: ``[domain] priority: sentence (key=value ...)``."""

import logging
import sys
import syslog
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

_PRIORITIES = {
    "debug": ("debug", syslog.LOG_DEBUG),
    "info": ("info", syslog.LOG_INFO),
    "warning": ("warning", syslog.LOG_WARNING),
    "error": ("error", syslog.LOG_ERR),
    "critical": ("crit", syslog.LOG_CRIT),
}

REPETITIONS_MAX = 20
REPETITION_PERIOD_S = 10.0
"""So many lines with one sentence in so many seconds, and no more."""


class DebugSwitch:
    """Whether debug lines are logged; the ``.debug`` file turns it while the daemon runs."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on

    def drop_debug_lines(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Drop a debug line while the switch is off."""
        if method == "debug" and not self.is_on:
            raise structlog.DropEvent
        return event


class RepetitionLimit:
    """Leaves out lines whose sentence came too often, with whatever facts: no peer fills a disk.

    Sentences are few; facts are not, and some come from others. Errors and debug lines are not
    counted: the former end something, the latter were asked for.

    Args:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._periods: dict[tuple[str, str], _Period] = {}

    def leave_out_repetitions(
        self, logger: "_DomainLogger", method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Drop a line that is one too many; say so in the last and in the next that is not."""
        if method not in ("info", "warning"):
            return event
        now_s = self._clock()
        key = (logger.domain, str(event["event"]))
        period = self._periods.get(key)
        if period is None or now_s - period.began_s >= REPETITION_PERIOD_S:
            left_out = 0 if period is None else period.count - REPETITIONS_MAX
            period = self._periods[key] = _Period(now_s)
            if left_out > 0:
                event["left_out_before"] = left_out
        period.count += 1
        if period.count > REPETITIONS_MAX:
            raise structlog.DropEvent
        if period.count == REPETITIONS_MAX:
            event["further_ones_are_left_out_for_s"] = REPETITION_PERIOD_S
        return event


@dataclass(slots=True)
class _Period:
    began_s: float
    count: int = 0


class _DomainLogger:
    """Writes finished lines to standard error and to syslog."""

    def __init__(self, domain: str = "main") -> None:
        self.domain = domain

    def msg(self, text: str, priority: str) -> None:
        word, number = _PRIORITIES[priority]
        line = f"[{self.domain}] {word}: {text}"
        syslog.syslog(number, line)
        print(line, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = msg


def configure(*, debug: bool) -> DebugSwitch:
    """Send all log lines of this process to standard error and syslog; return the debug switch."""
    syslog.openlog("pmxcfs", syslog.LOG_PID, syslog.LOG_DAEMON)
    switch = DebugSwitch(is_on=debug)
    structlog.configure(
        processors=[
            switch.drop_debug_lines,
            RepetitionLimit().leave_out_repetitions,
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_DomainLogger,
        cache_logger_on_first_use=True,
    )
    return switch


def _render(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str, str], dict[str, Any]]:
    """Make one line of a sentence and its facts; an exception's lines follow."""
    sentence = str(event.pop("event"))
    traceback = event.pop("exception", None)
    facts = " ".join(f"{key}={value}" for key, value in event.items())
    line = f"{sentence} ({facts})" if facts else sentence
    return (f"{line}\n{traceback}" if traceback else line, method), {}
