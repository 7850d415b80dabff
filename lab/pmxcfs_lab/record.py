"""The lab's record: what it consists of, whether it was finished, who answers for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pmxcfs_lab import processes
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan

PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that removes the lab when it ends, such as a test run.

    Attributes:
        process: which one.
        pid_namespace: where its number means something.
    """

    process: processes.ProcessRecord
    pid_namespace: str

    @classmethod
    def ourselves(cls) -> "Owner":
        """Return the calling process."""
        return cls(processes.own_record(), str(PID_NAMESPACE.readlink()))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Owner":
        """Return the owner that `asdict` turned into JSON."""
        return cls(processes.ProcessRecord(**value["process"]), value["pid_namespace"])

    def is_gone(self) -> bool:
        """Tell if it has ended for sure; of another pid namespace's process we know nothing."""
        is_ours = self.pid_namespace == str(PID_NAMESPACE.readlink())
        return is_ours and not processes.is_alive(self.process)


@dataclass(frozen=True, slots=True)
class LabRecord:
    """What is written to lab.json.

    Attributes:
        plan: what the lab shall consist of.
        provider: name of the provider that made it.
        is_complete: False until the first `up` has seeded and started every node once; a lab that
            never got there holds nothing worth keeping.
        owner: who removes the lab in the end; None leaves that to people.
    """

    plan: Plan
    provider: str
    is_complete: bool
    owner: Owner | None = None

    def write(self, path: Path) -> None:
        """Store the record atomically."""
        value = {
            "plan": self.plan.to_json(),
            "provider": self.provider,
            "is_complete": self.is_complete,
            "owner": None if self.owner is None else asdict(self.owner),
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
        owner = None if value["owner"] is None else Owner.from_json(value["owner"])
        return LabRecord(plan, value["provider"], value["is_complete"], owner)
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
