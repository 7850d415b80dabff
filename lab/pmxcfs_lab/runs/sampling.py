"""Which calls of a long run are drawn, and figures over all of them.

A page cannot draw a million marks. Rates and percentiles are of all calls; of the marks, those that
nobody may miss are kept: what a violation names, what did not end well, and the slowest.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmxcfs_lab.runs.calls import Calls, Floats, Integers, Mask, Result

OK_MAX = 12_000
"""Marks of calls that ended well; 12 000 of them draw in a tenth of a second."""

BAD_MAX = 4_000
"""Marks of each other result."""

SLICES_MAX = 600
"""Slices of time for rates and percentiles, about one in two pixels."""

CALLS_A_SLICE = 25
"""Fewer make no percentile."""

SLICE_MIN_S = 0.25


def drawn(calls: Calls, named: Collection[int] = (), *, ok_max: int = OK_MAX) -> Integers:
    """Return the indices of the calls to draw, in order.

    Args:
        calls: all.
        named: numbers of calls that violations name.
        ok_max: about how many that ended well.
    """
    keep = np.isin(calls.id, np.array(sorted(named), dtype=np.int64))
    for result in Result:
        limit = ok_max if result is Result.OK else BAD_MAX
        keep |= _thinned(calls, calls.result == result, limit)
    return np.flatnonzero(keep).astype(np.int64)


def _thinned(calls: Calls, wanted: Mask, limit: int) -> Mask:
    """Mark about `limit` of the wanted: the first and the slowest of each client's slices."""
    chosen = np.flatnonzero(wanted)
    if len(chosen) <= limit:
        return wanted
    clients = max(1, len(calls.clients))
    slices = max(1, limit // (2 * clients))
    width_s = max(float(calls.start[chosen].max()), SLICE_MIN_S) / slices
    group = (calls.start[chosen] // width_s).astype(np.int64) * clients + calls.client[chosen]
    keep = np.zeros(len(calls), dtype=np.bool_)
    for rank in (calls.start[chosen], -(calls.end - calls.start)[chosen]):
        keep[chosen[_first_of_each(group, rank)]] = True
    return keep


def _first_of_each(group: Integers, rank: Floats) -> npt.NDArray[np.intp]:
    """Return the index of the lowest rank in each group."""
    order = np.lexsort((rank, group))
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = np.diff(group[order]) != 0
    return order[is_first]


@dataclass(frozen=True, slots=True)
class Rates:
    """Figures over all calls in equal slices of time.

    Attributes:
        edges: where the slices begin, and the last one's end, in s.
        per_s: calls a second that ended in each slice, by result.
        median_ms, p99_ms: of the calls that ended well in each; nan where there are none.
    """

    edges: Floats
    per_s: dict[Result, Floats]
    median_ms: Floats
    p99_ms: Floats


def rates(calls: Calls, duration_s: float, only: Mask | None = None) -> Rates:
    """Return rates and percentiles in slices of the run, of all calls or those marked in `only`.

    The slices are the same for both.
    """
    count = max(1, min(SLICES_MAX, int(duration_s / SLICE_MIN_S), len(calls) // CALLS_A_SLICE))
    width_s = max(duration_s, SLICE_MIN_S) / count
    place = np.clip((calls.end / width_s).astype(np.int64), 0, count - 1)
    meant = np.ones(len(calls), dtype=np.bool_) if only is None else only
    per_s = {
        result: (1 / width_s)
        * np.bincount(place[meant & (calls.result == result)], minlength=count).astype(np.float64)
        for result in Result
    }
    good = meant & (calls.result == Result.OK)
    ranked = _Ranked(place[good], calls.ms[good], count)
    edges = np.arange(count + 1, dtype=np.float64) * width_s
    return Rates(edges, per_s, ranked.at(0.5), ranked.at(0.99))


class _Ranked:
    """Values in order within their slices."""

    def __init__(self, place: Integers, values: Floats, slices: int) -> None:
        self._values = values[np.lexsort((values, place))]
        self._count = np.bincount(place, minlength=slices)
        self._start = np.cumsum(self._count) - self._count

    def at(self, part: float) -> Floats:
        """Return the value at this part of each slice's values, 0.5 for the median."""
        found = np.full(len(self._count), np.nan)
        filled = self._count > 0
        rank = np.ceil(part * self._count[filled]).astype(np.int64) - 1
        found[filled] = self._values[self._start[filled] + np.maximum(rank, 0)]
        return found


def percentile_ms(calls: Calls, part: float) -> float | None:
    """Return the latency at this part of all calls that ended well, in ms; None without any."""
    good = np.sort(calls.ms[calls.result == Result.OK])
    if not len(good):
        return None
    return float(good[max(0, int(np.ceil(part * len(good))) - 1)])
