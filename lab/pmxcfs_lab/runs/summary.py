"""A run in figures: what stands on top of the report, and the table of its calls."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pmxcfs_lab.runs.calls import Calls, Result
from pmxcfs_lab.runs.sampling import percentile_ms
from pmxcfs_lab.runs.timelines import Band, Condition, Stretch
from pmxcfs_lab.runs.words import duration_text


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, what it counts, and a word on it."""

    figure: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallRow:
    """All calls of one kind.

    Attributes:
        failed: how many failed, by errno.
        times: median, 99th percentile and maximum of those that ended well, for people.
    """

    call: str
    count: int
    ok: int
    failed: dict[str, int]
    unknown: int
    unanswered: int
    times: tuple[str, str, str]


def tiles(calls: Calls, bands: list[Band], stretches: list[Stretch]) -> list[Tile]:
    """Return the figures on top of the page."""
    failed, unknown = calls.count(Result.FAIL), calls.count(Result.UNKNOWN)
    unanswered = calls.count(Result.UNANSWERED)
    injected = [band for band in bands if not band.was_refused]
    refused = len(bands) - len(injected)
    return [
        Tile(f"{len(calls):,}", "calls", f"of {len(calls.clients)} clients"),
        Tile(f"{calls.count(Result.OK):,}", "ok", _part(calls.count(Result.OK), len(calls))),
        Tile(f"{failed:,}", "failed", _part(failed, len(calls))),
        Tile(f"{unknown + unanswered:,}", "without a result", f"{unanswered:,} never answered"),
        Tile(duration_text(percentile_ms(calls, 0.5)), "median", "of ok calls"),
        Tile(duration_text(percentile_ms(calls, 0.99)), "99th percentile", _slowest(calls)),
        Tile(f"{len(injected)}", "faults", f"{refused} refused" if refused else _kinds(injected)),
        Tile(_in_sync(stretches), "in sync", "of the nodes' time"),
    ]


def _kinds(bands: list[Band]) -> str:
    kinds = len({band.name for band in bands})
    return f"of {kinds} kind{'' if kinds == 1 else 's'}"


def _part(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else ""


def _slowest(calls: Calls) -> str:
    return f"slowest {duration_text(percentile_ms(calls, 1.0))}"


def _in_sync(stretches: list[Stretch]) -> str:
    total = sum(stretch.end - stretch.start for stretch in stretches)
    synced = sum(s.end - s.start for s in stretches if s.condition is Condition.SYNCED)
    return f"{100 * synced / total:.0f} %" if total else "-"


def call_table(calls: Calls) -> list[CallRow]:
    """Return a row for each kind of call, the most frequent first."""
    counted = np.bincount(calls.call, minlength=len(calls.kinds))
    return [_call_row(calls, int(kind)) for kind in np.argsort(-counted, kind="stable")]


def _call_row(calls: Calls, kind: int) -> CallRow:
    is_kind = calls.call == kind
    of_result = {r: int(np.count_nonzero(is_kind & (calls.result == r))) for r in Result}
    failed = calls.errno[is_kind & (calls.result == Result.FAIL)]
    errnos = Counter(calls.errnos[number] or "?" for number in failed)
    good = np.sort(calls.ms[is_kind & (calls.result == Result.OK)])
    places = [max(0, int(np.ceil(part * len(good))) - 1) for part in (0.5, 0.99, 1.0)]
    times = [duration_text(float(good[place]) if len(good) else None) for place in places]
    return CallRow(
        calls.kinds[kind],
        int(np.count_nonzero(is_kind)),
        of_result[Result.OK],
        dict(errnos.most_common()),
        of_result[Result.UNKNOWN],
        of_result[Result.UNANSWERED],
        (times[0], times[1], times[2]),
    )
