"""A run and its repetition: the same faults, the same verdict."""

from pathlib import Path
from typing import Any, Literal

from pmxcfs_lab.runs.folder import FaultEvent, Run, RunWriter, Verdict
from pmxcfs_lab.runs.replay import differences

CUT = {"name": "isolate", "node": "node3"}
KILL = {"name": "kill", "node": "node1", "service": "all"}


def record(
    folder: Path,
    faults: list[tuple[float, dict[str, Any]]],
    verdict: Verdict = "ok",
    late_s: float = 0,
) -> Path:
    run = Run(7, ("node1", "node2", "node3"), "namespaces", "pmxcfs-lab run --seed 7", 0.0)
    with RunWriter(folder, run) as writer:
        for at_s, fault in faults:
            events: tuple[Literal["inject", "heal"], ...] = ("inject", "heal")
            for event in events:
                writer.fault(FaultEvent(at_s + late_s, event, fault, at_s))
        writer.finish(verdict, 60.0)
    return folder


def test_the_same_faults_and_verdict_are_no_difference_whenever_they_were_measured(
    tmp_path: Path,
) -> None:
    one = record(tmp_path / "one", [(5.0, CUT), (20.0, KILL)])
    other = record(tmp_path / "other", [(5.0, CUT), (20.0, KILL)], late_s=0.3)
    assert list(differences(one, other)) == []


def test_another_fault_another_time_or_one_less_is_a_difference(tmp_path: Path) -> None:
    one = record(tmp_path / "one", [(5.0, CUT), (20.0, KILL)])
    for number, faults in enumerate(
        ([(5.0, CUT), (20.0, CUT)], [(5.0, CUT), (21.0, KILL)], [(5.0, CUT)])
    ):
        other = record(tmp_path / str(number), faults)
        (line,) = differences(one, other)
        assert line.startswith("the faults differ")


def test_another_verdict_is_a_difference(tmp_path: Path) -> None:
    one = record(tmp_path / "one", [(5.0, CUT)])
    other = record(tmp_path / "other", [(5.0, CUT)], verdict="violated")
    assert list(differences(one, other)) == ["the verdicts differ: ok, then violated"]
