"""Log lines: their shape, where they go, that repetitions are counted and that nothing blocks."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from pmxcfs import log_sinks, logs
from pmxcfs.log_records import TEXT_MAX, Record
from pmxcfs.log_sinks import Journal, Sink, StandardError, Syslog, field_name, is_journal
from pmxcfs.log_storms import LINES_MAX, PERIOD_S, SENTENCES_MAX, Storms
from pmxcfs.logs import Desk


class Memory(Sink):
    """Keeps lines, unless it is told to take none."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.takes = True

    def _take(self, record: Record) -> bool:
        if self.takes:
            self.lines.append(record.line)
        return self.takes


@pytest.fixture(autouse=True)
def structlog_restored() -> Iterator[None]:
    before, desk = structlog.get_config(), logs._DomainLogger.desk
    yield
    structlog.configure(**before)
    logs._DomainLogger.desk = desk


def event(sentence: str = "it happened", method: str = "warning", **facts: object) -> Record:
    return Record("dcdb", method, sentence, facts, time_s=0.0)


def test_a_line_is_domain_priority_sentence_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=False)
    structlog.get_logger("dcdb").warning("leaving the group", reason="no state", node_id=3)
    structlog.get_logger("main").critical("over")
    assert capsys.readouterr().err == (
        "[dcdb] warning: leaving the group (reason=no state node_id=3)\n[main] crit: over\n"
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


def test_what_a_peer_says_makes_no_second_line_and_no_long_one() -> None:
    line = event(text="a\n[main] crit: forged\x1b[2J\udcff").line
    assert line.isprintable()
    assert line.startswith("[dcdb] warning: it happened (text=a\\n[main] crit: forged\\x1b[2J")
    assert len(event(text="x" * 10 * TEXT_MAX).line) < TEXT_MAX + 100


def test_json_is_one_line_an_event_with_facts_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(debug=False, is_json=True)
    structlog.get_logger("status").info("joined", members=3, group="a\nb", path=Path("/x"))
    value = json.loads(capsys.readouterr().err)
    assert isinstance(value.pop("time"), float)
    assert value == {
        "priority": "info",
        "domain": "status",
        "message": "joined",
        "facts": {"members": 3, "group": "a\nb", "path": "/x"},
    }


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_repetitions_are_left_out_and_counted_when_their_time_is_over() -> None:
    clock, sink = Clock(), Memory()
    desk = Desk([sink], Storms(clock))
    for number in range(LINES_MAX + 5):
        desk.take(event(reason=number))
    assert len(sink.lines) == LINES_MAX
    desk.take(event("something else"))
    clock.now_s = PERIOD_S
    desk.tell_repetitions()
    assert sink.lines[LINES_MAX:] == [
        "[dcdb] warning: something else",
        "[dcdb] warning: it happened ... repeated 5 times in 60 s (reason=24)",
    ]
    desk.take(event(reason="again"))
    assert sink.lines[-1] == "[dcdb] warning: it happened (reason=again)"


def test_a_count_that_is_due_comes_before_the_next_line_and_at_the_end() -> None:
    clock, sink = Clock(), Memory()
    desk = Desk([sink], Storms(clock))
    for _ in range(LINES_MAX + 1):
        desk.take(event())
    clock.now_s = PERIOD_S + 10
    desk.take(event("next"))
    assert sink.lines[-2:] == [
        "[dcdb] warning: it happened ... repeated 1 times in 70 s",
        "[dcdb] warning: next",
    ]
    for _ in range(LINES_MAX + 2):
        desk.take(event())
    desk.tell_repetitions(is_end=True)
    assert sink.lines[-1].endswith("repeated 2 times in 0 s")


@pytest.mark.parametrize("method", ["debug", "critical"])
def test_what_was_asked_for_and_what_ends_something_is_never_left_out(method: str) -> None:
    sink = Memory()
    desk = Desk([sink], Storms(Clock()))
    for _ in range(3 * LINES_MAX):
        desk.take(event(method=method))
    assert len(sink.lines) == 3 * LINES_MAX


def test_however_many_sentences_there_are_what_is_remembered_is_bounded() -> None:
    sink, storms = Memory(), Storms(Clock())
    desk = Desk([sink], storms)
    for _ in range(LINES_MAX + 1):
        desk.take(event("first"))
    for number in range(2 * SENTENCES_MAX):
        desk.take(event(f"sentence {number}"))
    assert len(storms._periods) == SENTENCES_MAX
    assert sum("first ... repeated 1 times" in line for line in sink.lines) == 1


def test_a_sink_that_took_nothing_for_a_while_says_how_many_lines_are_lost() -> None:
    sink = Memory()
    sink.takes = False
    for _ in range(3):
        sink.write(event())
    assert (sink.lines, sink.lost) == ([], 3)
    sink.takes = True
    sink.write(event("back"))
    assert sink.lines == [
        "[main] warning: log lines were lost: nobody took them (count=3)",
        "[dcdb] warning: back",
    ]
    assert sink.lost == 0


def test_a_full_pipe_does_not_block_and_its_lines_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr("sys.stderr", stream)
        sink = StandardError()
        for number in range(5000):
            sink.write(event(number=number, padding="x" * 100))
        assert sink.lost > 1000
        received = b""
        while received.count(b"\n") < 100:
            received += os.read(reader, 65_536)
        sink.write(event("back"))
        received += os.read(reader, 2**20)
    os.close(reader)
    lines = received.decode().splitlines()
    assert lines[-1] == "[dcdb] warning: back"
    assert "log lines were lost" in lines[-2]
    assert all(line.endswith("x)") for line in lines[:-2])


def fields_of(datagram: bytes) -> dict[str, str]:
    """Read the journal's native protocol."""
    fields = {}
    while datagram:
        head, _, rest = datagram.partition(b"\n")
        name, is_plain, value = head.partition(b"=")
        if not is_plain:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[], socket.socket]]:
    """A function that makes a datagram socket at tmp_path/socket."""
    made = []

    def listen() -> socket.socket:
        (tmp_path / "socket").unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(tmp_path / "socket"))
        listener.setblocking(False)
        made.append(listener)
        return listener

    yield listen
    for listener in made:
        listener.close()


def test_the_journal_gets_facts_as_fields(
    tmp_path: Path, listen: Callable[[], socket.socket]
) -> None:
    listener, journal = listen(), Journal(tmp_path / "socket")
    journal.write(Record("main", "error", "it broke", {"node-id": 3, "text": "a\nb"}, "T\nE"))
    fields = fields_of(listener.recv(65_536))
    assert fields == {
        "MESSAGE": "[main] error: it broke (node-id=3 text=a\\nb)\nT\nE",
        "PRIORITY": "3",
        "SYSLOG_FACILITY": "3",
        "SYSLOG_IDENTIFIER": "pmxcfs",
        "SYSLOG_PID": str(os.getpid()),
        "PMXCFS_DOMAIN": "main",
        "PMXCFS_SENTENCE": "it broke",
        "PMXCFS_NODE_ID": "3",
        "PMXCFS_TEXT": "a\nb",
    }
    journal.close()


def test_syslog_gets_one_datagram_a_line_with_priority_and_name(
    tmp_path: Path, listen: Callable[[], socket.socket]
) -> None:
    listener, syslog = listen(), Syslog(tmp_path / "socket")
    syslog.write(event("lost quorum"))
    text = listener.recv(65_536).decode()
    assert text.startswith("<28>")
    assert text.endswith(f" pmxcfs[{os.getpid()}]: [dcdb] warning: lost quorum")
    syslog.close()


def test_a_log_that_hangs_or_is_away_costs_lines_and_never_time(
    tmp_path: Path, listen: Callable[[], socket.socket]
) -> None:
    journal = Journal(tmp_path / "socket")
    journal.write(event("nobody is there"))
    listener = listen()
    for number in range(5000):  # more than any queue holds; nobody reads
        journal.write(event(number=number))
    assert journal.lost > 0
    listener.close()
    again = listen()
    journal.write(event("after its restart"))
    sentences = [fields_of(again.recv(65_536))["PMXCFS_SENTENCE"] for _ in range(2)]
    assert sentences == ["log lines were lost: nobody took them", "after its restart"]
    journal.close()


def test_fact_names_become_names_of_fields() -> None:
    assert field_name("size_bytes") == "PMXCFS_SIZE_BYTES"
    assert field_name("größe") == "PMXCFS_GR_SSE"
    assert len(field_name("x" * 100)) < 64


def test_standard_error_that_leads_to_the_journal_is_recognised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    seen = os.fstat(writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}")
    assert is_journal(writer)
    os.close(writer)
    assert not is_journal(writer)
    os.close(reader)


def test_in_the_background_the_host_has_its_log_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Memory()
    monkeypatch.setattr(logs, "system_log", lambda: host)
    logs.configure(debug=False, is_foreground=False)
    structlog.get_logger("main").info("ready")
    assert host.lines == ["[main] info: ready"]
    assert capsys.readouterr().err == "[main] info: ready\n"
    logs.configure(debug=False, is_foreground=True)
    structlog.get_logger("main").info("here only")
    assert len(host.lines) == 1


def test_a_host_without_a_journal_has_syslog(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(log_sinks, "JOURNAL_SOCKET", tmp_path / "none")
    assert isinstance(log_sinks.system_log(), Syslog)
    (tmp_path / "none").touch()
    assert isinstance(log_sinks.system_log(), Journal)
