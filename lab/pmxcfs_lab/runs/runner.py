"""A run from its first to its last moment: lab up, traffic and faults, healing, judging."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Say
from pmxcfs_lab.record import Owner
from pmxcfs_lab.runs.capture import capturing
from pmxcfs_lab.runs.collecting import bring_home
from pmxcfs_lab.runs.crew import Crew
from pmxcfs_lab.runs.facts import read_facts
from pmxcfs_lab.runs.folder import CAPTURE, Run, RunWriter, Verdict, Violation
from pmxcfs_lab.runs.play import Play, Scheduled
from pmxcfs_lab.runs.scenario import Scenario
from pmxcfs_lab.runs.traffic import BOUNDS_S, Client, cast
from pmxcfs_lab.runs.validators import catalogue
from pmxcfs_lab.runs.validators.finding import Finding
from pmxcfs_lab.runs.watch import Watch

LAST_CALLS_WITHIN_S = max(BOUNDS_S.values()) + 5


CAPTURED_S_MAX = 120.0
"""Of longer runs no frames are kept: some 50 MB a minute."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says of a run.

    Attributes:
        seed: of faults and traffic.
        seconds: how long the traffic goes on.
        command: the line to repeat it.
        folder: where it is recorded.
        provider: name of who makes the nodes.
    """

    seed: int
    seconds: float
    command: str
    folder: Path
    provider: str


def perform(
    scenario: Scenario, settings: Settings, lab: Lab, plan: Plan, say: Say
) -> tuple[Run, Mapping[str, Finding]]:
    """Bring a lab up, run a scenario on it, judge it, and remove the lab.

    Args:
        scenario: what happens.
        settings: how long, from which seed, where to.
        lab: not there yet.
        plan: its nodes.
        say: takes progress.

    Returns:
        the run as it was recorded, and what each validator found.

    Raises:
        LabError: the lab could not be had, or the recording is of no use.
    """
    chosen = catalogue.chosen(scenario.validators)
    schedule = scenario.schedule(settings.seed, plan, settings.seconds)
    clients = cast(scenario.traffic, plan.names)
    try:
        lab.up(plan, owner=Owner.ourselves())
        _make_folders(lab, clients)
        began_unix_s = time.time()
        run = Run(
            settings.seed,
            plan.names,
            settings.provider,
            settings.command,
            began_unix_s,
            {node.name: node.binary for node in plan.nodes},
            tuple(kind.name for kind in scenario.traffic),
        )
        with RunWriter(settings.folder, run) as writer, _captured(lab, settings.folder, say):
            complaints = _record(scenario, settings, lab, clients, schedule, writer, say)
            facts = read_facts(settings.folder)
            findings = {validator.name: validator.examine(facts) for validator in chosen}
            violations = [*complaints]
            for finding in findings.values():
                violations += finding.violations
            verdict: Verdict = "violated" if violations else "ok"
            return writer.finish(verdict, facts.final.t, tuple(violations)), findings
    finally:
        say("removing the lab")
        lab.down()


@contextmanager
def _captured(lab: Lab, folder: Path, say: Say) -> Iterator[None]:
    """Have frames captured, unless the lab's own switch does so."""
    if lab.plan.options.switch:
        yield
        return
    with capturing(lab.name, folder) as reason:
        if reason is not None:
            say(f"no capture: {reason}")
        yield


def _record(
    scenario: Scenario,
    settings: Settings,
    lab: Lab,
    clients: Sequence[Client],
    schedule: Sequence[Scheduled],
    writer: RunWriter,
    say: Say,
) -> list[Violation]:
    """Let traffic and faults happen, heal everything, and bring home what is left."""
    began_s = time.monotonic()
    watch = Watch(lab, writer, began_s)
    crew = Crew(lab, clients, settings.seed, writer, began_s)
    play = Play(lab, writer, began_s, say)
    if lab.plan.options.switch and settings.seconds <= CAPTURED_S_MAX:
        lab.switch().capture(settings.folder.resolve() / CAPTURE)
    watch.start()
    crew.start()
    say(f"{len(clients)} clients work for {settings.seconds:.0f} s, {len(schedule)} faults come")
    try:
        play.perform(schedule, settings.seed)
        time.sleep(max(0.0, began_s + settings.seconds - time.monotonic()))
    finally:
        play.heal_all()
        say("waiting for the last answers")
        crew.stop(LAST_CALLS_WITHIN_S)
        watch.stop()
    say("looking at all nodes")
    keys = [f"lab-{client.name}" for client in clients if client.kind == "publish"]
    bring_home(lab, writer, keys, began_s, watch.exits).write(settings.folder)
    return play.complaints


def _make_folders(lab: Lab, clients: Sequence[Client]) -> None:
    folders = sorted({folder for client in clients for folder in client.folders})
    if folders:
        paths = [f"/etc/pve/{folder}" for folder in folders]
        made = lab.exec(lab.plan.names[0], "mkdir", "-p", *paths)
        if made.exit_status != 0:
            raise LabError(f"The clients' folders are refused: {made.stderr.decode().strip()}")
        lab.wait()
