"""What a validator found, and what it is."""

from collections.abc import Callable
from dataclasses import dataclass

from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of looking at one run.

    Attributes:
        examined: how many things the claim was held against; 0 means that the run said nothing.
        violations: where it does not hold.
        excused: how many things could not be held against it, because no promise covers them.
    """

    examined: int
    violations: tuple[Violation, ...] = ()
    excused: int = 0


@dataclass(frozen=True, slots=True)
class Validator:
    """A claim.

    Attributes:
        name: for scenarios, reports and the command line.
        about: the claim in one sentence.
        examine: holds it against a run.
    """

    name: str
    about: str
    examine: Callable[[Facts], Finding]
