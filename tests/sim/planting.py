"""How a bug is planted, and found by the claim that it breaks and by nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.sim.checker import Checker, ViolationError
from tests.sim.soak import SoakError, run

WORLDS_MAX = 300
STEPS = 400

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """In which run a planted bug was found, after how many steps in all, and what was said."""

    seed: str
    steps: int
    sentence: str


def find(plant: Plant, claim: type[Checker]) -> Finding | None:
    """Plant a bug, then let only one claim be checked until it finds it; None if it does not.

    Raises:
        SoakError: something else broke, which is no find.
    """
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for number in range(WORLDS_MAX):
            seed = f"planted/{number}"
            try:
                run(seed, STEPS, node_count=3, only=(claim,))
            except SoakError as failure:
                return judged(failure, seed, number * STEPS, claim)
    return None


def judged(failure: SoakError, seed: str, steps_before: int, claim: type[Checker]) -> Finding:
    """Return what a failed run has found; the failure goes on if it was not by this claim."""
    cause = failure.__cause__
    if not isinstance(cause, ViolationError) or not isinstance(cause.checker, claim):
        raise failure
    return Finding(seed, steps_before + len(failure.transcript.lines), str(cause))
