"""All validators by name, and a run held against them."""

from collections.abc import Mapping, Sequence

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.validators import (
    bounds,
    crashes,
    equality,
    guests,
    keeping,
    locks,
    monotony,
    survival,
)
from pmxcfs_lab.runs.validators.finding import Finding, Validator

ALL: tuple[Validator, ...] = (
    Validator(
        survival.NAME,
        "nothing is lost that was acknowledged with the majority, or fsynced",
        survival.examine,
    ),
    Validator(monotony.NAME, "reads of one client never go back", monotony.examine),
    Validator(locks.HOLDERS, "a lock has at most one holder", locks.holders),
    Validator(locks.PROGRESS, "everybody who contends for a lock gets it", locks.progress),
    Validator(guests.NAME, "a guest's number is unique at every moment", guests.examine),
    Validator(equality.NAME, "all nodes show the same after healing", equality.examine),
    Validator(keeping.NAME, "what a node wrote alone, and loses, is kept", keeping.examine),
    Validator(bounds.NAME, "no call is without an answer past its bound", bounds.examine),
    Validator(crashes.NAME, "no crash, traceback or unexpected log line", crashes.examine),
)

BY_NAME: Mapping[str, Validator] = {validator.name: validator for validator in ALL}


def chosen(names: Sequence[str]) -> tuple[Validator, ...]:
    """Return the validators of these names, or all.

    Raises:
        LabError: there is none of that name.
    """
    strangers = [name for name in names if name not in BY_NAME]
    if strangers:
        raise LabError(f'There is no validator "{strangers[0]}".', f"Known: {', '.join(BY_NAME)}.")
    return tuple(BY_NAME[name] for name in names) or ALL


def examine(facts: Facts, names: Sequence[str] = ()) -> dict[str, Finding]:
    """Return what each of these validators (default: all) finds, by name."""
    return {validator.name: validator.examine(facts) for validator in chosen(names)}
