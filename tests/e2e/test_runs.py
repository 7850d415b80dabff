"""Runs of scenarios: a seeded one holds all claims, and a bug that is planted is found."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pmxcfs_lab.faults.catalogue import to_json
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Capability
from pmxcfs_lab.runs.facts import read_facts
from pmxcfs_lab.runs.folder import read_faults, read_run
from pmxcfs_lab.runs.replay import faults_as_lines
from pmxcfs_lab.runs.scenarios import BRISK
from pmxcfs_lab.runs.validators import catalogue

from .where import REPOSITORY

SEED = 11
TAKES_S_MAX = 300

SAYS_NOTHING = ("progress", "keeping")
"""So short a run says little of progress, and nobody edits on a node alone in it."""

pytestmark = pytest.mark.lab_has(Capability.NAMESPACES)


@dataclass(frozen=True, slots=True)
class Performed:
    """A run, and what the command said."""

    folder: Path
    said: str


def lab_command(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pmxcfs_lab", *words]
    return subprocess.run(
        program, capture_output=True, text=True, timeout=TAKES_S_MAX, check=False, cwd=REPOSITORY
    )


def perform(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return lab_command("run", "--folder", str(folder), *options)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    folder = tmp_path_factory.mktemp("runs") / "seeded"
    completed = perform(folder, "--scenario", BRISK.name, "--seed", str(SEED))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return Performed(folder, completed.stdout)


def test_a_seeded_run_holds_all_claims_and_has_the_faults_of_its_seed(seeded: Performed) -> None:
    folder = seeded.folder
    run = read_run(folder)
    assert run.verdict == "ok"
    assert run.command in seeded.said
    schedule = BRISK.schedule(SEED, make_plan("lab", BRISK.nodes), BRISK.seconds)
    injected = [event.fault for event in read_faults(folder) if event.event == "inject"]
    assert injected == [json.loads(json.dumps(to_json(fault))) for _, _, fault in schedule]
    assert len(injected) >= 2
    for name, finding in catalogue.examine(read_facts(folder)).items():
        assert finding.examined > 0 or name in SAYS_NOTHING, f"{name} examined nothing"


@pytest.mark.thorough
def test_a_run_performed_again_has_the_same_faults_and_the_same_verdict(seeded: Performed) -> None:
    completed = lab_command("replay", str(seeded.folder))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    again = seeded.folder.with_name("seeded-again")
    assert read_run(again).verdict == "ok"
    lines = faults_as_lines(again)
    assert lines == faults_as_lines(seeded.folder)
    assert b'"event":"heal"' in lines
    assert b'"frame":null' not in lines


@pytest.mark.thorough
def test_two_holders_of_a_lock_do_not_escape_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ("--scenario", "calm", "--seed", "1", "--minutes", "0.1", "--plant", "holders")
    completed = perform(folder, *options)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "holders" in {violation.validator for violation in read_run(folder).violations}
