"""The lab's record: what it consists of, whether it was finished, who answers for it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan


@dataclass(frozen=True, slots=True)
class LabRecord:
    """What is written to lab.json.

    Attributes:
        plan: what the lab shall consist of.
        provider: name of the provider that made it.
        is_complete: False until the first `up` has seeded and started every node once; a lab that
            never got there holds nothing worth keeping.
        owner_pid: process that will remove the lab when it ends (a test run), or None.
    """

    plan: Plan
    provider: str
    is_complete: bool
    owner_pid: int | None = None

    def write(self, path: Path) -> None:
        """Store the record atomically."""
        value = {
            "plan": self.plan.to_json(),
            "provider": self.provider,
            "is_complete": self.is_complete,
            "owner_pid": self.owner_pid,
        }
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(value, indent=2) + "\n")
        new.rename(path)


def read_record(path: Path) -> LabRecord | None:
    """Return the record, or None if there is none or it cannot be read (a lab half removed)."""
    try:
        value = json.loads(path.read_text())
        plan = Plan.from_json(value["plan"])
        return LabRecord(plan, value["provider"], value["is_complete"], value["owner_pid"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def require_record(path: Path, lab: str, others: Sequence[str]) -> LabRecord:
    """Return the record of a lab, finished or not.

    Args:
        path: where it is kept.
        lab: the lab's name.
        others: labs that do exist, to be named if this one does not.

    Raises:
        LabError: there is no such lab.
    """
    record = read_record(path)
    if record is None:
        known = f"There is: {', '.join(others)}." if others else "`pmxcfs-lab up` makes it."
        raise LabError(f'There is no lab "{lab}".', known)
    return record


def owner_is_gone(record: LabRecord) -> bool:
    """Tell if the lab belongs to a process that ended without removing it."""
    if record.owner_pid is None:
        return False
    try:
        os.kill(record.owner_pid, 0)
    except ProcessLookupError:
        return True
    return False
