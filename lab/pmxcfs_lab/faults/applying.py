"""Doing faults to a lab and undoing them, with a look at its health before and after each.

What is active is written down beside the lab's processes, so that another command can heal it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.catalogue import from_json, to_json
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.status import EXITED, NodeStatus


class Active:
    """The faults that a lab has now, in the order in which they came.

    Args:
        lab: a lab that is up.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._path: Path = lab.active_faults

    def faults(self) -> list[Fault]:
        """Return them."""
        try:
            return [from_json(value) for value in json.loads(self._path.read_text())]
        except FileNotFoundError:
            return []

    def inject(self, fault: Fault) -> None:
        """Make it happen.

        Raises:
            LabError: this lab can't have it; the lab has no fault and yet is not well; or a service
                ended where the fault does not reach.
        """
        active = self.faults()
        reason = fault.available(self._lab)
        if reason is not None:
            raise LabError(f"{fault.name} cannot be had here: {reason}")
        if not active:
            self._lab.wait()
        spared = self._spared(fault)
        before = self._lab.statuses(spared)
        self._write([*active, fault])
        fault.inject(self._lab)
        self._require_unharmed(fault, before)

    def heal(self, fault: Fault) -> None:
        """End it; if it was the last, return when all nodes agree again.

        Raises:
            LabError: the lab does not have it, or did not recover.
        """
        active = self.faults()
        if fault not in active:
            raise LabError(f'Lab "{self._lab.name}" does not have this fault: {to_json(fault)}.')
        active.remove(fault)
        before = self._lab.statuses(self._spared(fault)) if active else []
        fault.heal(self._lab)
        self._write(active)
        if active:
            self._require_unharmed(fault, before)
        else:
            self._lab.wait()

    def heal_all(self) -> list[Fault]:
        """End all of them, the last one first, and make the network whole; return what was healed.

        Raises:
            LabError: one cannot be ended, or the lab did not recover from them.
        """
        healed = self.faults()[::-1]
        for fault in healed:
            fault.heal(self._lab)
        self._lab.heal()
        if healed:
            self._write([])
            self._lab.wait()
        return healed

    def _write(self, active: Sequence[Fault]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps([to_json(fault) for fault in active]))
        new.rename(self._path)

    def _spared(self, fault: Fault) -> list[str]:
        """Return the nodes on which nothing may end by the fault."""
        touched = fault.touched(self._lab.plan)
        return [name for name in self._lab.plan.names if name not in touched]

    def _require_unharmed(self, fault: Fault, before: Sequence[NodeStatus]) -> None:
        now = {row.name: row for row in self._lab.statuses([row.name for row in before])}
        for was in before:
            row = now[was.name]
            for service, then, word in (
                ("corosync", was.corosync, row.corosync),
                ("pmxcfs", was.pmxcfs, row.pmxcfs),
            ):
                if then == "up" and (word == "down" or word.startswith(EXITED)):
                    raise LabError(f"{row.name}: {service} {word} by {fault.name} elsewhere.")
