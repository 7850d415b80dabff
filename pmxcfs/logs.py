"""How this process logs, in the reference's shape: ``[domain] priority: sentence (key=value ...)``.

Source: docs/OPERATIONS.md, "The daemon's log".
"""

import logging
import threading
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

import structlog

from pmxcfs.log_records import Record
from pmxcfs.log_sinks import Journal, Sink, StandardError, is_journal, system_log
from pmxcfs.log_storms import Storms

STDERR = 2


class DebugSwitch:
    """Whether debug lines are logged; the ``.debug`` file turns it while the daemon runs."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on

    def turn(self, is_on: bool) -> None:
        """Turn it, and say so."""
        self.is_on = is_on
        structlog.get_logger("main").info("debug lines are switched", on=is_on)

    def drop_debug_lines(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Drop a debug line while the switch is off."""
        if method == "debug" and not self.is_on:
            raise structlog.DropEvent
        return event


class Desk:
    """Hands each event to all sinks, unless it repeats too often. May be used by any thread."""

    def __init__(self, sinks: Sequence[Sink], storms: Storms | None = None) -> None:
        self._sinks = sinks
        self._storms = storms or Storms()
        self._lock = threading.Lock()

    def take(self, record: Record) -> None:
        """Log an event."""
        with self._lock:
            self._write(self._storms.admit(record))

    def tell_repetitions(self, *, is_end: bool = False) -> None:
        """Log how often things were repeated in periods that are over; at the end, in all."""
        with self._lock:
            self._write(self._storms.due(is_end=is_end))

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            for sink in self._sinks:
                sink.write(record)


class _DomainLogger:
    """Where structlog's last step hands an event to."""

    desk = Desk([StandardError()])

    def __init__(self, domain: str = "main") -> None:
        self.domain = domain

    def msg(self, record: Record) -> None:
        self.desk.take(record)

    debug = info = warning = error = critical = msg


def configure(*, debug: bool, is_foreground: bool = True, is_json: bool = False) -> DebugSwitch:
    """Say where all log lines of this process go; return the debug switch.

    Args:
        debug: whether debug lines are logged from the beginning.
        is_foreground: log to standard error only, or to the journal if that is where it leads;
            otherwise to the host's log, and to standard error for as long as it is somebody's.
        is_json: one line of JSON an event on standard error.
    """
    _DomainLogger.desk = Desk(_sinks(is_foreground=is_foreground, is_json=is_json))
    switch = DebugSwitch(is_on=debug)
    structlog.configure(
        processors=[
            switch.drop_debug_lines,
            structlog.processors.format_exc_info,
            _as_record,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_DomainLogger,
        cache_logger_on_first_use=True,
    )
    return switch


def tell_repetitions(*, is_end: bool = False) -> None:
    """Log what was left out because it repeated too often; to be called now and then."""
    _DomainLogger.desk.tell_repetitions(is_end=is_end)


def _sinks(*, is_foreground: bool, is_json: bool) -> list[Sink]:
    if is_journal(STDERR) and not is_json:
        return [Journal()]
    here = StandardError(is_json=is_json)
    return [here] if is_foreground else [here, system_log()]


def _as_record(
    logger: _DomainLogger, method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[Record], dict[str, Any]]:
    sentence = str(event.pop("event"))
    traceback = event.pop("exception", None) or ""
    return (Record(logger.domain, method, sentence, dict(event), traceback),), {}
