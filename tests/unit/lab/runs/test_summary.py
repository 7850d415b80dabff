"""A run in figures."""

import pytest
from pmxcfs_lab.runs.calls import read_calls
from pmxcfs_lab.runs.folder import CallEvent
from pmxcfs_lab.runs.summary import call_table, tiles
from pmxcfs_lab.runs.timelines import Band, Condition, Stretch
from pmxcfs_lab.runs.words import duration_text


def call(number: int, kind: str, errno: str | None = None) -> CallEvent:
    phase = "ok" if errno is None else "fail"
    return CallEvent(1.0, number, "c", "node1", kind, "/a", phase, errno)  # type: ignore[arg-type]


CALLS = read_calls(
    [
        call(1, "read"),
        call(2, "write", "EACCES"),
        call(3, "write", "EBUSY"),
        call(4, "write", "EACCES"),
        CallEvent(2.0, 5, "c", "node1", "write", "/a", "unknown"),
        CallEvent(2.0, 6, "c", "node1", "write", "/a", "invoke"),
    ],
    9.0,
)


def test_every_kind_of_call_has_a_row_with_its_errors() -> None:
    writes, reads = call_table(CALLS)
    assert (writes.call, writes.count, writes.ok) == ("write", 5, 0)
    assert list(writes.failed.items()) == [("EACCES", 2), ("EBUSY", 1)]
    assert (writes.unknown, writes.unanswered, writes.times) == (1, 1, ("-", "-", "-"))
    assert (reads.call, reads.count, reads.ok, reads.failed) == ("read", 1, 1, {})


def test_the_figures_on_top_count_calls_faults_and_time_in_sync() -> None:
    stretch = Stretch("node1", 0.0, 3.0, Condition.SYNCED, (1,), True, "synced", 1)
    cut = Stretch("node1", 3.0, 4.0, Condition.NO_QUORUM, (1,), False, "synced", 1)
    kill = Band("kill", "", 1.0, 2.0, was_refused=False, is_healed=True)
    found = {tile.name: tile.figure for tile in tiles(CALLS, [kill], [stretch, cut])}
    assert found["calls"] == "6"
    assert found["without a result"] == "2"
    assert found["faults"] == "1"
    assert found["in sync"] == "75 %"


@pytest.mark.parametrize(
    ("ms", "words"),
    [(None, "-"), (0.1234, "0.123 ms"), (999.0, "999 ms"), (999.9, "1 s"), (61_000.0, "61 s")],
)
def test_a_latency_is_told_with_three_digits(ms: float | None, words: str) -> None:
    assert duration_text(ms) == words
