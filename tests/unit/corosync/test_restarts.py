"""A service is tried again at the reference's pace, and only a series' first failure is logged."""

from itertools import pairwise

import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from pmxcfs.corosync.handle import CorosyncError
from pmxcfs.corosync.restarts import CALM_S, Restarts, Timing, Trouble


def make() -> Restarts:
    return Restarts(structlog.get_logger("test"), Timing())


async def test_the_first_attempt_comes_at_once(autojump_clock: MockClock) -> None:
    began_s = trio.current_time()
    await make().turn()
    assert trio.current_time() == began_s


async def test_a_failing_service_is_tried_every_six_seconds(autojump_clock: MockClock) -> None:
    restarts = make()
    attempts_s = []
    for _ in range(3):
        await restarts.turn()
        attempts_s.append(trio.current_time())
    gaps_s = [later - earlier for earlier, later in pairwise(attempts_s)]
    assert gaps_s == [6.0, 6.0]


async def test_a_service_that_had_been_up_is_tried_after_a_second(
    autojump_clock: MockClock,
) -> None:
    restarts = make()
    await restarts.turn()
    await trio.sleep(3600)
    ended_s = trio.current_time()
    await restarts.turn()
    assert trio.current_time() == ended_s + 1.0


def test_only_the_first_failure_of_a_series_is_logged() -> None:
    restarts = make()
    with capture_logs() as lines:
        for _ in range(3):
            restarts.note_failure(CorosyncError(2, "cpg_initialize"))
        restarts.note_success()
        restarts.note_success()
        restarts.note_failure(CorosyncError(2, "cpg_dispatch"))
    assert [line["log_level"] for line in lines] == ["warning", "info", "warning"]
    assert "cpg_initialize failed: 2" in lines[0]["error"]


async def test_who_leaves_once_is_back_after_a_second(autojump_clock: MockClock) -> None:
    assert await _pauses_after_leaving(1, stays_s=60) == [1.0]


async def test_who_leaves_again_and_again_stays_away_for_longer_and_longer(
    autojump_clock: MockClock,
) -> None:
    with capture_logs() as lines:
        pauses_s = await _pauses_after_leaving(7, stays_s=60)
    assert pauses_s == [1.0, 6.0, 12.0, 24.0, 48.0, 60.0, 60.0]
    told = [(line["log_level"], line["times"], line["pause_s"]) for line in lines]
    assert told == [("warning", times, pauses_s[times - 1]) for times in range(2, 8)]
    assert {line["event"] for line in lines} == {"left again, waiting before we come back"}


async def test_a_long_stay_ends_the_series(autojump_clock: MockClock) -> None:
    """Counted from one leave to the next, of which a second was spent outside."""
    with capture_logs() as lines:
        assert await _pauses_after_leaving(3, stays_s=CALM_S - 1) == [1.0, 1.0, 1.0]
    assert lines == []


def test_the_trouble_is_known_from_its_first_failure_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restarts, clock = make(), iter([100.5, 200.5])
    monkeypatch.setattr("time.time", lambda: next(clock))
    restarts.note_failure(CorosyncError(2, "cpg_initialize"))
    restarts.note_failure(CorosyncError(6, "cpg_join"))
    told = [restarts.trouble]
    restarts.note_success()
    told.append(restarts.trouble)
    restarts.note_failure(CorosyncError(2, "cpg_dispatch"))
    told.append(restarts.trouble)
    assert told == [
        Trouble(str(CorosyncError(6, "cpg_join")), 100),
        None,
        Trouble(str(CorosyncError(2, "cpg_dispatch")), 200),
    ]


def test_a_corosync_that_lets_nobody_connect_is_named_with_how_long_it_took() -> None:
    restarts = make()
    with capture_logs() as lines:
        restarts.note_silence()
    (line,) = lines
    assert (line["log_level"], line["waited_s"]) == ("warning", Timing().answer_s_max)
    assert "corosync does not answer" in line["event"]
    assert restarts.trouble is not None
    assert "corosync does not answer" in restarts.trouble.sentence


async def _pauses_after_leaving(times: int, stays_s: float) -> list[float]:
    restarts, pauses_s = make(), []
    await restarts.turn()
    for _ in range(times):
        await trio.sleep(stays_s)
        left_s = trio.current_time()
        restarts.note_left()
        await restarts.turn()
        pauses_s.append(trio.current_time() - left_s)
    return pauses_s
