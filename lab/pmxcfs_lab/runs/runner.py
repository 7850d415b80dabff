"""A run from its first to its last moment: lab up, traffic and faults, healing, judging."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.catalogue import to_json, to_words
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Say
from pmxcfs_lab.record import Owner
from pmxcfs_lab.runs.collecting import bring_home
from pmxcfs_lab.runs.crew import Crew
from pmxcfs_lab.runs.facts import read_facts
from pmxcfs_lab.runs.folder import FaultEvent, Run, RunWriter, Verdict, Violation
from pmxcfs_lab.runs.scenario import Scenario
from pmxcfs_lab.runs.traffic import BOUNDS_S, Client, cast
from pmxcfs_lab.runs.validators import catalogue
from pmxcfs_lab.runs.validators.finding import Finding
from pmxcfs_lab.runs.watch import Watch

FAULTS = "faults"
"""In the place of a validator: what went wrong with doing and undoing faults."""

LAST_CALLS_WITHIN_S = max(BOUNDS_S.values()) + 5

Scheduled = tuple[float, float, Fault]


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
        with RunWriter(settings.folder, run) as writer:
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
    watch.start()
    crew.start()
    say(f"{len(clients)} clients work for {settings.seconds:.0f} s, {len(schedule)} faults come")
    try:
        play.perform(schedule)
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


class Play:
    """Does faults to a lab when their time has come, and records when that was.

    Attributes:
        complaints: faults that could not be done, or undone.
    """

    def __init__(self, lab: Lab, writer: RunWriter, began_s: float, say: Say) -> None:
        self._lab = lab
        self._writer = writer
        self._began_s = began_s
        self._say = say
        self._active: list[Fault] = []
        self.complaints: list[Violation] = []

    def perform(self, schedule: Sequence[Scheduled]) -> None:
        """Do all of them in the order of time; return when the last one has healed."""
        moments = [(begin_s, False, number) for number, (begin_s, _, _) in enumerate(schedule)]
        moments += [(end_s, True, number) for number, (_, end_s, _) in enumerate(schedule)]
        for at_s, is_end, number in sorted(moments):
            time.sleep(max(0.0, self._began_s + at_s - time.monotonic()))
            fault = schedule[number][2]
            if not is_end:
                self._inject(fault, at_s)
            elif fault in self._active:
                self._heal(fault, at_s)

    def heal_all(self) -> None:
        """End what is not ended yet, and start what does not run."""
        for fault in reversed(list(self._active)):
            self._heal(fault)
        self._lab.heal()
        for name in self._lab.plan.names:
            self._attempt(partial(self._lab.start, name), f"starting {name}")

    def _inject(self, fault: Fault, at_s: float) -> None:
        reason = fault.available(self._lab)
        if reason is not None:
            self._note("refused", fault, at_s)
            self._say(f"{to_words(fault)}: refused: {reason}")
            return
        self._say(to_words(fault))
        self._note("inject", fault, at_s)
        self._active.append(fault)
        self._attempt(partial(fault.inject, self._lab), to_words(fault))

    def _heal(self, fault: Fault, at_s: float | None = None) -> None:
        self._active.remove(fault)
        self._attempt(partial(fault.heal, self._lab), f"healing {to_words(fault)}")
        self._say(f"{to_words(fault)}: healed")
        self._note("heal", fault, at_s)

    def _note(
        self, event: Literal["inject", "heal", "refused"], fault: Fault, at_s: float | None
    ) -> None:
        self._writer.fault(FaultEvent(self._now_s(), event, to_json(fault), at_s))

    def _now_s(self) -> float:
        return round(time.monotonic() - self._began_s, 3)

    def _attempt(self, work: Callable[[], None], what: str) -> None:
        try:
            work()
        except LabError as error:
            self.complaints.append(Violation(FAULTS, self._now_s(), f"{what}: {error}"))


def _make_folders(lab: Lab, clients: Sequence[Client]) -> None:
    folders = sorted({folder for client in clients for folder in client.folders})
    if folders:
        paths = [f"/etc/pve/{folder}" for folder in folders]
        made = lab.exec(lab.plan.names[0], "mkdir", "-p", *paths)
        if made.exit_status != 0:
            raise LabError(f"The clients' folders are refused: {made.stderr.decode().strip()}")
        lab.wait()
