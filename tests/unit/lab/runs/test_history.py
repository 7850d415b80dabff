"""Calls are put together from what clients recorded, whatever is missing or late."""

from pmxcfs_lab.runs.facts import Span, spans_of
from pmxcfs_lab.runs.folder import CallEvent, FaultEvent, Phase
from pmxcfs_lab.runs.history import Call, calls_of


def moment(
    t: float, phase: Phase, *, errno: str | None = None, value: str | None = None
) -> CallEvent:
    return CallEvent(t, 1, "c", "node1", "update", "f", phase, errno, value)


def only(*moments: CallEvent) -> Call:
    (call,) = calls_of(moments)
    return call


def test_a_call_that_went_well_has_what_it_wrote() -> None:
    call = only(moment(1.0, "invoke", value="v"), moment(2.0, "ok", value="v"))
    assert (call.began_s, call.ended_s, call.outcome, call.value) == (1.0, 2.0, "ok", "v")


def test_what_a_call_wrote_is_known_also_if_it_failed() -> None:
    call = only(moment(1.0, "invoke", value="v"), moment(2.0, "fail", errno="EACCES"))
    assert (call.outcome, call.errno, call.value) == ("fail", "EACCES", "v")


def test_a_call_without_an_answer_is_unknown_and_never_over() -> None:
    call = only(moment(1.0, "invoke"), moment(31.0, "unknown"))
    assert (call.outcome, call.ended_s, call.overdue_s) == ("unknown", None, 31.0)
    assert call.until_s == float("inf")


def test_an_answer_that_comes_after_the_bound_counts() -> None:
    call = only(moment(1.0, "invoke"), moment(31.0, "unknown"), moment(40.0, "ok"))
    assert (call.outcome, call.ended_s, call.overdue_s) == ("ok", 40.0, 31.0)


def test_an_error_that_leaves_the_outcome_open_is_an_answer() -> None:
    call = only(moment(1.0, "invoke"), moment(2.0, "unknown", errno="EBUSY"))
    assert (call.outcome, call.ended_s, call.overdue_s) == ("unknown", 2.0, None)


def test_a_fault_lasts_until_it_is_healed_or_until_the_end() -> None:
    cut = {"name": "isolate", "node": "node1"}
    kill = {"name": "kill", "node": "node2"}
    events = [
        FaultEvent(1.0, "inject", cut),
        FaultEvent(2.0, "refused", {"name": "disk_full"}),
        FaultEvent(3.0, "inject", kill),
        FaultEvent(4.0, "heal", cut),
        FaultEvent(5.0, "inject", cut),
    ]
    assert spans_of(events, 9.0) == [Span(cut, 1.0, 4.0), Span(kill, 3.0, 9.0), Span(cut, 5.0, 9.0)]
