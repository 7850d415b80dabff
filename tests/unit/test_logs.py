"""Log lines: their shape, and the switch for debug lines."""

from collections.abc import Iterator

import pytest
import structlog

from pmxcfs import logs


@pytest.fixture(autouse=True)
def structlog_restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_a_line_is_domain_priority_sentence_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=False)
    structlog.get_logger("dcdb").warning("leaving the group", reason="no state", node_id=3)
    assert capsys.readouterr().err == (
        "[dcdb] warning: leaving the group (reason=no state node_id=3)\n"
    )


def test_debug_lines_appear_only_while_the_switch_is_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    switch = logs.configure(debug=False)
    log = structlog.get_logger("status")
    log.debug("first")
    switch.is_on = True
    log.debug("second")
    assert capsys.readouterr().err == "[status] debug: second\n"


def test_an_exception_is_logged_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=False)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("main").exception("a task failed")
    text = capsys.readouterr().err
    assert text.startswith("[main] error: a task failed\nTraceback")
    assert "ValueError: invalid literal" in text


def test_a_sentence_that_repeats_is_left_out_for_a_while_and_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    limit = logs.RepetitionLimit(lambda: now_s[0])
    monkeypatch.setattr(logs, "RepetitionLimit", lambda: limit)
    logs.configure(debug=True)
    log, other = structlog.get_logger("status"), structlog.get_logger("dcdb")

    for number in range(logs.REPETITIONS_MAX + 5):
        log.warning("ignored a status message", reason=number)
        other.error("ignored a status message")
    log.warning("something else")
    now_s[0] = logs.REPETITION_PERIOD_S
    log.warning("ignored a status message", reason="again")

    lines = capsys.readouterr().err.splitlines()
    mine = [line for line in lines if "status] warning: ignored" in line]
    assert len(mine) == logs.REPETITIONS_MAX + 1
    assert mine[-2].endswith(
        f"(reason={logs.REPETITIONS_MAX - 1} further_ones_are_left_out_for_s=10.0)"
    )
    assert mine[-1].endswith("(reason=again left_out_before=5)")
    assert sum("error" in line for line in lines) == logs.REPETITIONS_MAX + 5
    assert "[status] warning: something else" in lines
