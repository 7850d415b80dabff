"""Which calls of a long run are drawn, and figures over all of them."""

import random

import numpy as np
import pytest
from pmxcfs_lab.runs.calls import Calls, Mask, Result, read_calls
from pmxcfs_lab.runs.folder import CallEvent
from pmxcfs_lab.runs.sampling import BAD_MAX, OK_MAX, drawn, percentile_ms, rates

COUNT = 60_000


@pytest.fixture(scope="module")
def many() -> Calls:
    """An hour of six clients: most calls take 1 to 2 ms, every thousandth 500, some fail."""
    draw, events = random.Random(1), []
    for number in range(COUNT):
        t = number * 3600.0 / COUNT
        took = 0.5 if number % 1000 == 500 else draw.uniform(0.001, 0.002)
        phase = "fail" if number % 10 == 3 else "unknown" if number % 2000 == 7 else "ok"
        client = f"c{number % 6}"
        events.append(CallEvent(t, number, client, "node1", "write", "/a", "invoke"))
        events.append(CallEvent(t + took, number, client, "node1", "write", "/a", phase))  # type: ignore[arg-type]
    return read_calls(events, 3600.0)


def test_a_long_run_is_drawn_with_few_marks(many: Calls) -> None:
    chosen = drawn(many)
    assert BAD_MAX < len(chosen) < 1.1 * (OK_MAX + 3 * BAD_MAX)
    assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_a_short_run_is_drawn_whole(many: Calls) -> None:
    few = read_calls([CallEvent(1.0, n, "c", "node1", "read", "/a", "ok") for n in range(50)], 2.0)
    assert drawn(few).tolist() == list(range(50))


def test_the_slowest_are_always_drawn(many: Calls) -> None:
    slow = many.id[(many.ms > 400) & (many.result == Result.OK)]
    assert len(slow) == COUNT // 1000
    assert set(slow.tolist()) <= set(many.id[drawn(many)].tolist())


def test_all_unknown_calls_are_drawn_while_they_are_few(many: Calls) -> None:
    chosen = drawn(many)
    assert np.count_nonzero(many.result[chosen] == Result.UNKNOWN) == many.count(Result.UNKNOWN)


def test_failures_without_number_are_thinned_and_stay_spread_over_the_run(many: Calls) -> None:
    chosen = drawn(many)
    failed = many.start[chosen[many.result[chosen] == Result.FAIL]]
    assert many.count(Result.FAIL) == 6000
    assert 1000 < len(failed) <= 1.1 * BAD_MAX
    assert np.diff(failed).max() < 60


def test_what_a_violation_names_is_drawn(many: Calls) -> None:
    left_out = sorted(set(many.id.tolist()) - set(many.id[drawn(many)].tolist()))[77]
    assert left_out in many.id[drawn(many, {left_out})]


def test_rates_count_every_call(many: Calls) -> None:
    found = rates(many, 3600.0)
    width_s = np.diff(found.edges)
    for result in Result:
        assert np.sum(found.per_s[result] * width_s) == pytest.approx(many.count(result))


def test_percentiles_are_those_of_the_calls_that_ended_well(many: Calls) -> None:
    found = rates(many, 3600.0)
    slot = 17
    inside = (many.end >= found.edges[slot]) & (many.end < found.edges[slot + 1])
    good = np.sort(many.ms[inside & (many.result == Result.OK)])
    assert found.median_ms[slot] == good[int(np.ceil(0.5 * len(good))) - 1]
    assert found.p99_ms[slot] == good[int(np.ceil(0.99 * len(good))) - 1]
    assert percentile_ms(many, 1.0) == pytest.approx(500.0)


def test_rates_of_some_calls_count_those_in_the_same_slices(many: Calls) -> None:
    only: Mask = many.client == 0
    found = rates(many, 3600.0, only)
    assert found.edges.tolist() == rates(many, 3600.0).edges.tolist()
    counted = sum(float(np.sum(per_s)) for per_s in found.per_s.values()) * found.edges[1]
    assert counted == pytest.approx(np.count_nonzero(only))


def test_without_calls_there_are_no_figures() -> None:
    none = read_calls([], 5.0)
    assert drawn(none).tolist() == []
    assert np.isnan(rates(none, 5.0).median_ms).all()
    assert percentile_ms(none, 0.5) is None
