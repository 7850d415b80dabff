"""A scenario: traffic x faults x seed x validators, as a value.

Source: docs/LAB.md, "Scenarios".
"""

import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults import catalogue
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.runs.traffic import EVERYDAY, Traffic

QUIET_AT_THE_START_S = 3.0
QUIET_AT_THE_END_S = 15.0
"""So long before the end of the traffic the last fault is healed; a quarter of a short run."""


@dataclass(frozen=True, slots=True)
class During:
    """A fault and its time.

    Attributes:
        at_s: when it begins, in seconds of the run.
        for_s: how long it lasts.
        fault: a value, or the words of `pmxcfs-lab fault`: "isolate node=3".
    """

    at_s: float
    for_s: float
    fault: Fault | str

    def resolved(self) -> tuple[float, float, Fault]:
        """Return begin, end and the fault as a value; LabError if the words name none."""
        value = self.fault
        if isinstance(value, str):
            kind, *words = value.split()
            value = catalogue.from_words(kind, words)
        return self.at_s, self.at_s + self.for_s, value


@dataclass(frozen=True, slots=True)
class Chaos:
    """Faults that the seed chooses, one after the other.

    Attributes:
        kinds: names to choose from; all if empty.
        lasts_s: shortest and longest time that one lasts.
        pause_s: shortest and longest time between two.
        overlap: chance that the next one begins before this one has healed.
    """

    kinds: tuple[str, ...] = ()
    lasts_s: tuple[float, float] = (3.0, 12.0)
    pause_s: tuple[float, float] = (5.0, 15.0)
    overlap: float = 0.0

    def schedule(self, chance: Random, plan: Plan, seconds: float) -> tuple[During, ...]:
        """Return the faults of a run: a function of the state of `chance`, plan and length."""
        found: list[During] = []
        at_s = QUIET_AT_THE_START_S + chance.uniform(*self.pause_s) / 2
        while True:
            fault = catalogue.draw(chance, plan, self.kinds or None)
            for_s, pause_s = chance.uniform(*self.lasts_s), chance.uniform(*self.pause_s)
            if at_s + for_s > seconds - min(QUIET_AT_THE_END_S, seconds / 4):
                return tuple(found)
            found.append(During(round(at_s, 3), round(for_s, 3), fault))
            at_s += for_s * chance.random() if chance.random() < self.overlap else for_s + pause_s


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in a run.

    Attributes:
        name: for `--scenario`.
        about: one sentence: what happens, and what must hold.
        traffic: who calls what.
        faults: at fixed times, or chosen by the seed.
        nodes: how many, unless the command line says otherwise.
        seconds: how long the traffic goes on, unless the command line says otherwise.
        disk: databases lie on a disk layer that can fail, where the provider has one.
        validators: names of those whose claims must hold; all if empty.
    """

    name: str
    about: str
    traffic: tuple[Traffic, ...] = EVERYDAY
    faults: tuple[During, ...] | Chaos = ()
    nodes: int = 3
    seconds: float = 60.0
    validators: tuple[str, ...] = ()
    disk: bool = False

    def schedule(
        self, seed: int, plan: Plan, seconds: float
    ) -> Sequence[tuple[float, float, Fault]]:
        """Return (begin, end, fault) in order of time; the same for the same arguments."""
        faults = self.faults
        if isinstance(faults, Chaos):
            faults = faults.schedule(Random(f"{seed}/faults"), plan, seconds)
        return sorted((during.resolved() for during in faults), key=lambda span: span[:2])


def read_scenario(path: Path) -> Scenario:
    """Return the `scenario` that a Python file makes.

    Raises:
        LabError: there is no such file, it fails, or it makes none.
    """
    if not path.is_file():
        raise LabError(f"There is no file {path}.")
    try:
        made = runpy.run_path(str(path)).get("scenario")
    except Exception as error:
        raise LabError(f"{path} fails: {type(error).__name__}: {error}") from error
    if not isinstance(made, Scenario):
        raise LabError(f"{path} makes no scenario.", "It must set `scenario = Scenario(...)`.")
    return made
