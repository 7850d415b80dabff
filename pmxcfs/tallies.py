"""Plain counts of what happens, which cost next to nothing where it happens.

Whoever does something counts it here; ``pmxcfs.metrics`` reads the counts when somebody asks.
"""

from collections import Counter
from dataclasses import dataclass

SHORTEST_NS = 1 << 14
"""The upper bound of the first bucket, about 16 us; each further bucket ends at twice as much."""

BUCKETS = 21
"""Of which the last bounded one ends at 17 s; one more takes all that is longer."""

_SHIFT = SHORTEST_NS.bit_length() - 1


class Durations:
    """How often something was done, and how long it took.

    Attributes:
        counts: how often by how long: below the bound of the first bucket, of the second, ...
        total_ns: the sum of all.
    """

    __slots__ = ("counts", "total_ns")

    def __init__(self) -> None:
        self.counts = [0] * (BUCKETS + 1)
        self.total_ns = 0

    def note(self, duration_ns: int) -> None:
        """Count something that took so long."""
        bucket = (duration_ns >> _SHIFT).bit_length()
        self.counts[bucket if bucket < BUCKETS else BUCKETS] += 1
        self.total_ns += duration_ns

    @staticmethod
    def bounds_s() -> list[float]:
        """Return the upper bounds of all buckets but the last, which has none."""
        return [(SHORTEST_NS << number) / 1e9 for number in range(BUCKETS)]


class Requests:
    """Requests of one kind of clients.

    Attributes:
        durations: by the name of the request.
        errors: how often a request was answered with an errno, by both.
    """

    def __init__(self) -> None:
        self.durations: dict[str, Durations] = {}
        self.errors: Counter[tuple[str, int]] = Counter()

    def note(self, name: str, duration_ns: int, errno: int) -> None:
        """Count a request that was answered; ``errno`` is 0 if it was done."""
        durations = self.durations.get(name)
        if durations is None:
            durations = self.durations[name] = Durations()
        durations.note(duration_ns)
        if errno:
            self.errors[name, errno] += 1


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a group has carried for us, and what waits to be carried.

    Attributes:
        sent: messages of ours that corosync took.
        sent_bytes: their size.
        delivered: messages that came, ours among them.
        retries: how often corosync told us to try again.
        given_back: messages that were not sent.
        waiting: messages that wait for corosync to take them.
        under_way: messages that it took and has not brought back.
    """

    sent: int
    sent_bytes: int
    delivered: int
    retries: int
    given_back: int
    waiting: int
    under_way: int
