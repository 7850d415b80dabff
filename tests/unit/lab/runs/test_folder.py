"""The folder that a run leaves."""

import json
from pathlib import Path
from threading import Thread

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.folder import (
    CallEvent,
    FaultEvent,
    Observation,
    Run,
    RunWriter,
    Violation,
    read_faults,
    read_history,
    read_observations,
    read_run,
)

RUN = Run(
    seed=7,
    nodes=("node1", "node2"),
    provider="namespaces",
    command="pmxcfs-lab run --seed 7",
    started_unix_s=1_700_000_000.25,
    binaries={"node1": None, "node2": "/usr/bin/pmxcfs"},
    traffic=("updates",),
)
INVOKE = CallEvent(0.5, 1, "c1", "node1", "write", "/etc/pve/a", "invoke", value="x")
FAILED = CallEvent(0.75, 1, "c1", "node1", "write", "/etc/pve/a", "fail", errno="EACCES")
SEEN = Observation(1.0, "node1", (1, 2), True, "synced", 1, 42, {"corosync": True, "pmxcfs": False})
CUT = FaultEvent(2.0, "inject", {"name": "isolate", "node": "node2"}, virtual_t=2.0, frame=900)


def finished(folder: Path) -> Path:
    with RunWriter(folder, RUN) as writer:
        writer.call(INVOKE)
        writer.call(FAILED)
        writer.observed(SEEN)
        writer.fault(CUT)
        writer.finish("ok", 3.0)
    return folder


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = finished(tmp_path / "runs" / "seed-7")
    assert list(read_history(folder)) == [INVOKE, FAILED]
    assert list(read_observations(folder)) == [SEEN]
    assert list(read_faults(folder)) == [CUT]
    run = read_run(folder)
    assert (run.seed, run.nodes, run.binaries) == (7, RUN.nodes, RUN.binaries)
    assert (run.verdict, run.duration_s) == ("ok", 3.0)


def test_violations_are_in_order_of_time(tmp_path: Path) -> None:
    late, early = Violation("locks", 9.0, "two holders", op=4), Violation("lost", 2.0, "gone")
    with RunWriter(tmp_path, RUN) as writer:
        assert writer.finish("violated", 10.0, (late, early)).violations == (early, late)
    assert read_run(tmp_path).violations == (early, late)


def test_a_run_that_was_killed_is_aborted_and_keeps_its_lines(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, RUN)
    writer.call(INVOKE)
    assert read_run(tmp_path).verdict == "aborted"
    assert list(read_history(tmp_path)) == [INVOKE]
    writer.close()


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = finished(tmp_path) / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert list(read_history(tmp_path)) == [INVOKE]


def test_lines_of_several_threads_stay_whole(tmp_path: Path) -> None:
    with RunWriter(tmp_path, RUN) as writer:

        def write() -> None:
            for _ in range(200):
                writer.call(INVOKE)

        threads = [Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert list(read_history(tmp_path)) == [INVOKE] * 800


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", "line 2: JSON is malformed"),
        ("", "line 2: .*truncated"),
        ("{}", "line 2: .*missing required field `t`"),
        ("[]", "line 2: Expected `object`"),
        (json.dumps({"t": -1, "node": "node1"}), r"line 2: Expected `float` >= 0.0 - at `\$.t`"),
        (json.dumps({"t": 1, "node": "node1", "quorate": "yes"}), r"`\$.quorate`"),
        ('{"t": 1, "node": "\udcff"}', "line 2: "),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = finished(tmp_path) / "observations.jsonl"
    with path.open("a", errors="surrogateescape") as file:
        file.write(line + "\n")
    with pytest.raises(LabError, match=complaint):
        list(read_observations(tmp_path))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "format none"),
        ('{"format": 2, "seed": 1}', "format 2; this program reads format 1"),
        ('{"format": 1, "seed": "x"}', r"Expected `int`, got `str` - at `\$.seed`"),
    ],
)
def test_a_bad_run_json_is_refused_with_the_reason(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(LabError, match=complaint):
        read_run(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="There is no run in"):
        read_run(tmp_path / "nothing")
    with pytest.raises(LabError, match=r"history\.jsonl cannot be read"):
        list(read_history(tmp_path))


def test_a_folder_with_a_run_is_not_written_again(tmp_path: Path) -> None:
    finished(tmp_path)
    with pytest.raises(LabError, match="holds a run already"):
        RunWriter(tmp_path, RUN)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run", RUN)


def test_the_folder_of_a_node_is_there_when_asked_for(tmp_path: Path) -> None:
    with RunWriter(tmp_path, RUN) as writer:
        assert writer.node_folder("node1").is_dir()
