"""Every run that once showed a bug, or shows how something works, still goes as it should."""

from pathlib import Path

import pytest

from tests.sim.soak import SoakError, run
from tests.sim.transcript import Transcript, parse, shortened
from tests.sim.weather import Weather

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))

OPEN_BUGS: set[str] = set()
"""Not mended yet; the day it is, the test says so."""


def _parameter(path: Path) -> object:
    marks = [pytest.mark.xfail(strict=True)] if path.stem in OPEN_BUGS else []
    return pytest.param(path, id=path.stem, marks=marks)


@pytest.mark.parametrize("path", [_parameter(path) for path in TRANSCRIPTS])
def test_a_recorded_run_goes_well(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "a transcript begins with a paragraph on what it is about"
    parse(text).run()


def test_a_transcript_is_read_back_as_it_was_written() -> None:
    transcript = Transcript(3, ("write 1 /a v1", "settle"))
    assert parse(str(transcript)) == transcript


def test_a_failing_line_is_named() -> None:
    with pytest.raises(AssertionError) as caught:
        Transcript(3, ("write 1 /a v1", "settle", "expect 2 /a v2")).run()
    assert caught.value.__notes__ == ["step 3: expect 2 /a v2"]


@pytest.mark.parametrize("line", ["jump 1", "write 1 /a", "quorum 1 maybe", "deliver 1 2 3"])
def test_nonsense_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=line.split()[0]):
        Transcript(3, (line,)).run()


def test_a_failing_run_is_shortened_to_what_it_takes() -> None:
    lines = ("tick 1", "write 1 /a v1", "verify 2", "settle", "expect 2 /a v2", "tick 5")
    assert shortened(Transcript(3, lines)).lines == (
        "write 1 /a v1",
        "settle",
        "expect 2 /a v2",
    )


def test_the_same_seed_gives_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    next_line = Weather.next_line

    def note_line(self: Weather, world: object) -> str:
        lines.append(next_line(self, world))  # type: ignore[arg-type]
        return lines[-1]

    monkeypatch.setattr(Weather, "next_line", note_line)
    run("twice", 200, 3)
    first = list(lines)
    lines.clear()
    run("twice", 200, 3)
    assert lines == first


def test_a_failing_soak_prints_a_transcript_that_fails_the_same_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pmxcfs.dcdb.choose_leader", min)
    with pytest.raises(SoakError) as caught:
        run("replay", 1000, 3)
    text = str(caught.value)
    transcript = parse(text[text.index("nodes 3") :])
    assert transcript == caught.value.transcript
    with pytest.raises(AssertionError) as replayed:
        transcript.run()
    assert str(replayed.value) == str(caught.value.__cause__)
