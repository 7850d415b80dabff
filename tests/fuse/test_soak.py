"""Random operations on the mount give what files in memory give, and the soak would notice."""

import os
from pathlib import Path

import pytest

from tests.fuse import soak
from tests.fuse.soak import SHOWN_OPERATIONS, SoakError
from tests.fuse.soak_model import Operation

SEEDS = range(5)
OPERATIONS = 500


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_answer_as_files_in_memory_do(place: Path, seed: int) -> None:
    soak.run(place, f"test/{seed}", OPERATIONS)


def _spoil_writes(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Let every write flip one bit of a byte, if it has so many."""
    real = os.pwrite

    def spoiling(descriptor: int, data: bytes, offset: int) -> int:
        spoilt = bytearray(data)
        if len(spoilt) > place:
            spoilt[place] ^= 1
        return real(descriptor, bytes(spoilt), offset)

    monkeypatch.setattr(os, "pwrite", spoiling)


def test_one_wrong_bit_is_found_and_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil_writes(monkeypatch, 3)
    lines = ["open 0 a rw,creat", "pwrite 0 10 5 77", "pread 0 0 100"]
    with pytest.raises(SoakError, match="pread 0 0 100: 15 bytes, 15 are right: byte 13 is 0x"):
        soak.replay(place, lines)


def test_a_wrong_bit_is_found_by_random_operations(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil_writes(monkeypatch, 300)
    with pytest.raises(SoakError, match="byte"):
        soak.run(place, "test/0", OPERATIONS)


def test_a_failure_is_reproduced_by_its_transcript(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("first", "second", "third"):
        (place / directory).mkdir()
    with monkeypatch.context() as patch:
        _spoil_writes(patch, 300)
        with pytest.raises(SoakError) as first:
            soak.run(place / "first", "test/0", OPERATIONS)
        with pytest.raises(SoakError) as second:
            soak.replay(place / "second", first.value.lines)
    assert str(second.value) == str(first.value)
    assert str(first.value).splitlines()[2:] == first.value.lines[-SHOWN_OPERATIONS:]
    soak.replay(place / "third", first.value.lines)


def test_a_size_that_is_not_cut_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "ftruncate", lambda *_: None)
    lines = ["open 0 a rw,creat", "pwrite 0 0 9 1", "ftruncate 0 4", "fsize 0"]
    with pytest.raises(SoakError, match="fsize 0: 9, 4 is right"):
        soak.replay(place, lines)


def test_a_call_that_is_not_refused_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "truncate", lambda *_: None)
    with pytest.raises(SoakError, match="truncate a 5: None, ENOENT is right"):
        soak.replay(place, ["truncate a 5"])


@pytest.mark.parametrize("line", ["open 3 a rw,creat,excl", "pwrite 0 4294967296 1 99", "names"])
def test_a_line_of_a_transcript_survives(line: str) -> None:
    assert str(Operation.parse(line)) == line


def test_the_command_says_what_it_did_and_leaves_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak.main([str(place), "--seed", "9", "--ops", "50"]) == 0
    assert capsys.readouterr().out.startswith("seed 9: 50 operations, no difference")
    assert list(place.iterdir()) == []


def test_the_command_leaves_a_transcript_of_a_failure(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    transcript = tmp_path / "given"
    transcript.write_text("open 0 a rw,creat\nfsize 0\nread 0 5\n")
    monkeypatch.setattr(os, "read", lambda *_: b"?")
    assert soak.main([str(place), "--replay", str(transcript)]) == 1
    (written,) = tmp_path.glob("soak-*.transcript")
    assert written.read_text() == transcript.read_text()
    assert f"the transcript is {written}" in capsys.readouterr().out
