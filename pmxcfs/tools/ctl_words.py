"""Numbers, times and lists in words for people."""

from collections.abc import Mapping, Sequence
from typing import Any

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_KIB = 1024


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    whole = max(0, int(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def since(moment_s: int | None, status: Mapping[str, Any]) -> str:
    """Return for how long something has been so, by the daemon's own clock."""
    if moment_s is None:
        return f"since its start {duration(status['now_s'] - status['started_s'])} ago"
    return f"for {duration(status['now_s'] - moment_s)}"


def bytes_text(count: int) -> str:
    """Return a size with three digits or so."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < _KIB:
            return (
                f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
            )
        value /= _KIB
    return f"{value:.1f} {_UNITS[-1]}"


def percent(used: int, limit: int) -> int:
    """Return how much of a limit is used, rounded down."""
    return 100 * used // limit if limit else 0


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def names(items: Sequence[str]) -> str:
    """Return a list as people say it."""
    if not items:
        return "nobody"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
