"""The calls of a run as columns."""

import numpy as np
from pmxcfs_lab.runs.calls import Calls, Result, read_calls
from pmxcfs_lab.runs.folder import CallEvent, Phase


def event(
    t: float, number: int, phase: Phase, client: str = "c1", errno: str | None = None
) -> CallEvent:
    return CallEvent(t, number, client, "node1", "write", f"/etc/pve/{number}", phase, errno)


def calls(*events: CallEvent, until_s: float = 10.0) -> Calls:
    return read_calls(events, until_s)


def test_begin_and_end_make_a_call() -> None:
    found = calls(event(1.0, 7, "invoke"), event(1.25, 7, "fail", errno="EACCES"))
    assert (found.id.tolist(), found.start.tolist(), found.ms.tolist()) == ([7], [1.0], [250.0])
    assert found.result.tolist() == [Result.FAIL]
    assert found.errnos[found.errno[0]] == "EACCES"
    assert found.paths[found.path[0]] == "/etc/pve/7"


def test_a_call_without_an_end_lasts_until_the_runs_end() -> None:
    found = calls(event(4.0, 1, "invoke"), until_s=10.0)
    assert found.result.tolist() == [Result.UNANSWERED]
    assert found.ms.tolist() == [6000.0]


def test_an_end_without_a_begin_took_no_time() -> None:
    found = calls(event(4.0, 1, "ok"))
    assert (found.result.tolist(), found.ms.tolist()) == ([Result.OK], [0.0])


def test_calls_that_overlap_are_in_order_of_their_begin() -> None:
    found = calls(
        event(1.0, 1, "invoke"), event(2.0, 2, "invoke", "c2"), event(3.0, 2, "ok"), until_s=5.0
    )
    assert found.id.tolist() == [1, 2]
    assert found.end.tolist() == [5.0, 3.0]


def test_names_are_ordered_as_people_count() -> None:
    found = calls(*(event(float(n), n, "ok", f"client{n}") for n in (10, 9, 2)))
    assert found.clients == ["client2", "client9", "client10"]
    assert [found.clients[client] for client in found.client] == ["client2", "client9", "client10"]


def test_a_run_without_calls_has_empty_columns() -> None:
    found = calls()
    assert len(found) == 0
    assert found.count(Result.OK) == 0
    assert np.array_equal(found.ms, [])
