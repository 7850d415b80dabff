"""A node whose daemon worked alone for a while, as after a mishap, and comes back with edits."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Service

FILES_MAX = 1000
MOUNTED_WITHIN_S = 20.0

WRITE = """
mkdir -p /etc/pve/"$1"
for number in $(seq "$2"); do printf 'edit %s' "$number" >/etc/pve/"$1/$number" || exit; done
"""


@dataclass(frozen=True, slots=True)
class EditAlone:
    """A node leaves the cluster, its daemon is started with `-l`, and somebody writes files there.

    Healing ends that daemon and starts the node as usual. The seed never chooses it: with more
    edits than the others have made meanwhile, the edits win (docs/GUARANTEES.md).

    Attributes:
        files: how many are written, each in two changes, below `folder`.
    """

    name: ClassVar[str] = "edit_alone"
    node: str
    files: int = 3

    @property
    def folder(self) -> str:
        """Where they are written, in the tree."""
        return f"edits-{self.node}"

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return None

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if not 1 <= self.files <= FILES_MAX:
            return f"One writes 1 to {FILES_MAX} files."
        if lab.plan.local:
            return "All nodes of this lab work alone."
        return lacks_nodes(lab.plan, self.node)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.stop(self.node)
        lab.start(self.node, [Service.PMXCFS], local=True)
        eventually(lambda: self._require_writable(lab), within_s=MOUNTED_WITHIN_S)
        done = lab.exec(self.node, "sh", "-c", WRITE, "sh", self.folder, str(self.files))
        if done.exit_status != 0:
            raise LabError(f"{self.node}: the edits are refused: {done.stderr.decode().strip()}")

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.stop(self.node, [Service.PMXCFS])
        lab.start(self.node)

    def _require_writable(self, lab: Lab) -> None:
        (row,) = lab.statuses([self.node])
        assert row.pmxcfs == "up", f"{self.node}: pmxcfs {row.pmxcfs}"
        assert row.quorate, f"{self.node} cannot be written"
