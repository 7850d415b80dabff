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
