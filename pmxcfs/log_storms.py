"""Keeps one event that repeats from filling the log: so many lines a minute, then one that counts.

Sentences are few; facts are not, and some come from peers and clients, so the sentence decides.
Debug lines were asked for and critical ones end something: neither is counted.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pmxcfs.log_records import Record

LINES_MAX = 20
PERIOD_S = 60.0
SENTENCES_MAX = 256
"""How many different sentences are counted at a time; the oldest count makes room for another."""

_UNCOUNTED = ("debug", "critical")

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Period:
    began_s: float
    last: Record
    count: int = 0


class Storms:
    """Counts how often each sentence was logged.

    Args:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._periods: dict[_Key, _Period] = {}  # in the order in which they began

    def admit(self, record: Record) -> Iterator[Record]:
        """Yield what an event brings into the log: counts that are due, and it or nothing."""
        yield from self.due()
        if record.method in _UNCOUNTED:
            yield record
            return
        key = record.domain, record.method, record.sentence
        if key not in self._periods:
            if len(self._periods) >= SENTENCES_MAX:
                yield from self._end(next(iter(self._periods)))
            self._periods[key] = _Period(self._clock(), record)
        period = self._periods[key]
        period.count += 1
        period.last = record
        if period.count <= LINES_MAX:
            yield record

    def due(self, *, is_end: bool = False) -> Iterator[Record]:
        """Yield the counts of periods that are over; at the end all are."""
        now_s = self._clock()
        while self._periods:
            key, period = next(iter(self._periods.items()))
            if now_s - period.began_s < PERIOD_S and not is_end:
                return
            yield from self._end(key)

    def _end(self, key: _Key) -> Iterator[Record]:
        period = self._periods.pop(key)
        left_out = period.count - LINES_MAX
        if left_out > 0:
            passed_s = round(self._clock() - period.began_s)
            sentence = f"{period.last.sentence} ... repeated {left_out} times in {passed_s} s"
            yield replace(period.last, sentence=sentence, traceback="")
