"""What all faults of links have in common: they are rules for the ways between nodes."""

from dataclasses import asdict
from typing import Any, ClassVar

from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.links.rules import Rule
from pmxcfs_lab.plan import Plan

EVERYBODY = "all"
"""As the node of a fault: every one."""


class LinkFault:
    """A fault that is nothing but rules. Several at once add up, and each heals by itself."""

    __slots__ = ()

    name: ClassVar[str]

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """Return what the links are like meanwhile."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """What tells its rules from those of other faults."""
        values: Any = self
        return f"{self.name} {asdict(values)}"

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault: no service may end because others are not heard."""
        return ()

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        reason = self.unsuitable(lab.plan)
        if reason is not None:
            return reason
        reasons = (lab.lacks_quality(rule.quality) for rule in self.rules(lab.plan)[:1])
        return next(reasons, None)

    def unsuitable(self, plan: Plan) -> str | None:
        """Return why a lab of such a plan can't have it, or None."""
        return lacks_nodes(plan, at_least=2)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.shape(self.key, self.rules(lab.plan))

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.shape(self.key, ())
