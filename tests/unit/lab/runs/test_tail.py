"""The end of a run that goes on."""

import time
from pathlib import Path

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs import tail
from pmxcfs_lab.runs.folder import CallEvent, Phase, Run, RunWriter
from pmxcfs_lab.runs.tail import Tail, going_on

RUN = Run(7, ("node1",), "namespaces", "pmxcfs-lab run", 1_795_000_000.0)


def event(t: float, number: int, phase: Phase) -> CallEvent:
    return CallEvent(t, number, "c", "node1", "write", "/a", phase)


def test_what_is_written_is_seen_with_how_long_it_took(tmp_path: Path) -> None:
    with RunWriter(tmp_path, RUN) as writer:
        following = Tail(tmp_path)
        writer.call(event(1.0, 1, "invoke"))
        writer.call(event(1.5, 2, "invoke"))
        following.read()
        assert (list(following.ended), following.waiting) == ([], 2)
        writer.call(event(2.0, 1, "ok"))
        following.read()
    (ended,) = following.ended
    assert (ended.event.id, ended.ms) == (1, 1000.0)
    assert (following.waiting, following.now_s) == (1, 2.0)


def test_rates_are_of_the_last_seconds(tmp_path: Path) -> None:
    with RunWriter(tmp_path, RUN) as writer:
        for number in range(200):
            writer.call(event(number / 10, number, "ok" if number % 2 else "fail"))
    following = Tail(tmp_path)
    following.read()
    assert following.per_s() == {
        "ok": pytest.approx(5.0, abs=0.2),
        "fail": pytest.approx(5.0, abs=0.2),
    }


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    with RunWriter(tmp_path, RUN) as writer:
        writer.call(event(1.0, 1, "ok"))
    path = tmp_path / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    following = Tail(tmp_path)
    following.read()
    assert not following.ended
    path.write_bytes(whole)
    following.read()
    assert len(following.ended) == 1


def test_of_a_long_history_only_the_end_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunWriter(tmp_path, RUN) as writer:
        for number in range(100):
            writer.call(event(float(number), number, "ok"))
    monkeypatch.setattr(tail, "FIRST_LOOK_BYTES", 1000)
    following = Tail(tmp_path)
    following.read()
    assert 3 < len(following.ended) < 12
    assert following.ended[-1].event.id == 99


def test_what_is_no_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("nonsense\n")
    with pytest.raises(LabError, match=r"history\.jsonl"):
        Tail(tmp_path).read()


def test_the_newest_run_that_still_grows_goes_on(tmp_path: Path) -> None:
    assert going_on(tmp_path, within_s=5, now_unix_s=time.time()) is None
    folder = tmp_path / "one"
    with RunWriter(folder, RUN) as writer:
        writer.call(event(1.0, 1, "invoke"))
        now_unix_s = time.time()
        assert going_on(tmp_path, within_s=5, now_unix_s=now_unix_s) == folder
        assert going_on(tmp_path, within_s=5, now_unix_s=now_unix_s + 60) is None
        writer.finish("ok", 2.0)
    assert going_on(tmp_path, within_s=5, now_unix_s=now_unix_s) is None
