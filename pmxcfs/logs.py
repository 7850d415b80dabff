"""Where log lines go, in the reference's shape: ``[domain] priority: sentence (key=value ...)``."""

import logging
import sys
import syslog
from collections.abc import MutableMapping
from typing import Any

import structlog

_PRIORITIES = {
    "debug": ("debug", syslog.LOG_DEBUG),
    "info": ("info", syslog.LOG_INFO),
    "warning": ("warning", syslog.LOG_WARNING),
    "error": ("error", syslog.LOG_ERR),
    "critical": ("crit", syslog.LOG_CRIT),
}


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


class _DomainLogger:
    """Writes finished lines to standard error and to syslog."""

    def __init__(self, domain: str = "main") -> None:
        self._domain = domain

    def msg(self, text: str, priority: str) -> None:
        word, number = _PRIORITIES[priority]
        line = f"[{self._domain}] {word}: {text}"
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
