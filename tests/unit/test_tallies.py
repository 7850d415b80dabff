"""Counting by duration."""

import itertools

import pytest

from pmxcfs.tallies import BUCKETS, SHORTEST_NS, Durations, Requests


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [
        (0, 0),
        (SHORTEST_NS - 1, 0),
        (SHORTEST_NS, 1),
        (2 * SHORTEST_NS - 1, 1),
        (2 * SHORTEST_NS, 2),
        ((SHORTEST_NS << (BUCKETS - 1)) - 1, BUCKETS - 1),
        (SHORTEST_NS << (BUCKETS - 1), BUCKETS),
        (10**15, BUCKETS),
    ],
)
def test_a_duration_is_counted_below_its_bound(duration_ns: int, bucket: int) -> None:
    durations = Durations()
    durations.note(duration_ns)
    assert [number for number, count in enumerate(durations.counts) if count] == [bucket]
    assert durations.total_ns == duration_ns


def test_the_bounds_are_in_seconds_and_double() -> None:
    bounds_s = Durations.bounds_s()
    assert len(bounds_s) == BUCKETS
    assert bounds_s[0] == SHORTEST_NS / 1e9
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(bounds_s))


def test_only_failures_are_errors() -> None:
    requests = Requests()
    requests.note("read", 10, 0)
    requests.note("read", 10, 5)
    assert sum(requests.durations["read"].counts) == 2
    assert requests.errors == {("read", 5): 1}
