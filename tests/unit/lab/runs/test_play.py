"""Faults of a run are done in their time, recorded, undone in any case, and complained about."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.partitions import Isolate
from pmxcfs_lab.faults.services import Kill
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.runs.folder import Run, RunWriter, read_faults
from pmxcfs_lab.runs.play import Play, Scheduled, timed_of

SCHEDULE: list[Scheduled] = [(5.0, 15.0, Isolate("node3")), (12.0, 20.0, Kill("node1"))]


class PaperLab:
    """What `Play` asks of a lab, which notes it."""

    def __init__(self) -> None:
        self.plan = make_plan("lab", 3)
        self.notes: list[str] = []

    def heal(self) -> None:
        self.notes.append("whole")

    def start(self, node: str) -> None:
        self.notes.append(f"start {node}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A fault that notes what is done with it."""

    name: ClassVar[str] = "mark"
    letter: str
    refusal: str | None = None
    is_clumsy: bool = False

    def available(self, lab: PaperLab) -> str | None:
        return self.refusal

    def inject(self, lab: PaperLab) -> None:
        lab.notes.append(f"+{self.letter}")
        if self.is_clumsy:
            raise LabError("it cannot be done")

    def heal(self, lab: PaperLab) -> None:
        lab.notes.append(f"-{self.letter}")


class Stage:
    """A play on a paper lab, and what it recorded."""

    def __init__(self, lab: PaperLab, folder: Path, writer: RunWriter) -> None:
        self.lab = lab
        self.folder = folder
        self.play = Play(cast("Lab", lab), writer, time.monotonic(), lambda _: None)

    def perform(self, *schedule: tuple[float, float, Mark]) -> None:
        self.play.perform(cast("list[Scheduled]", schedule), seed=1)

    def recorded(self) -> list[tuple[str, str, float | None]]:
        return [
            (event.event, event.fault["letter"], event.virtual_t)
            for event in read_faults(self.folder)
        ]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    lab = PaperLab()
    with RunWriter(tmp_path, Run(1, lab.plan.names, "paper", "", 0.0)) as writer:
        yield Stage(lab, tmp_path, writer)


def test_faults_come_and_go_in_the_order_of_time_also_when_they_overlap(stage: Stage) -> None:
    stage.perform((0.0, 0.03, Mark("a")), (0.01, 0.02, Mark("b")))
    assert stage.lab.notes == ["+a", "+b", "-b", "-a"]
    assert stage.recorded() == [
        ("inject", "a", 0.0),
        ("inject", "b", 0.01),
        ("heal", "b", 0.02),
        ("heal", "a", 0.03),
    ]


def test_a_fault_that_cannot_be_had_is_recorded_as_refused_and_not_done(stage: Stage) -> None:
    stage.perform((0.0, 0.01, Mark("a", refusal="not here")), (0.0, 0.01, Mark("b")))
    assert stage.lab.notes == ["+b", "-b"]
    assert stage.recorded()[0] == ("refused", "a", 0.0)


def test_a_fault_that_fails_is_a_complaint_and_is_undone_nevertheless(stage: Stage) -> None:
    stage.perform((0.0, 0.01, Mark("a", is_clumsy=True)))
    (complaint,) = stage.play.complaints
    assert "it cannot be done" in complaint.text
    assert stage.lab.notes == ["+a", "-a"]


def test_in_the_end_everything_is_healed_and_started(stage: Stage) -> None:
    stage.play._inject(cast("Fault", Mark("a")), 0.0)
    stage.play.heal_all()
    starts = [f"start node{number}" for number in (1, 2, 3)]
    assert stage.lab.notes == ["+a", "-a", "whole", *starts]


def test_the_seed_chooses_the_frames_before_which_faults_begin_and_end() -> None:
    once, again, other = timed_of(SCHEDULE, 7), timed_of(SCHEDULE, 7), timed_of(SCHEDULE, 8)
    assert once == again != other
    assert [timed.moment.virtual_s for timed in once] == [5.0, 15.0, 12.0, 20.0]
    assert [timed.event for timed in once] == ["inject", "heal", "inject", "heal"]
