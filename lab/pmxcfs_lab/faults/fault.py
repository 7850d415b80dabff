"""What every fault is: a value that knows how it is done to a lab, and how it is undone."""

from random import Random
from typing import ClassVar, Protocol, Self

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan


class Fault(Protocol):
    """Something that goes wrong, and heals. A frozen dataclass; its fields say where and how much.

    Source: docs/LAB.md, "Faults".

    Attributes:
        name: the kind, as in the catalogue, in JSON and on the command line.
    """

    name: ClassVar[str]

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """Return one of this kind for such a lab; None if the lab can't have it.

        The same state of `chance` and an equal plan give an equal fault.
        """

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """Return the nodes whose services may end by it; everywhere else they go on running."""

    def available(self, lab: Lab) -> str | None:
        """Return None, or why this lab cannot have it: a sentence for people."""

    def inject(self, lab: Lab) -> None:
        """Make it happen; it lasts until `heal`.

        Raises:
            LabError: it could not be done.
        """

    def heal(self, lab: Lab) -> None:
        """End it, and start again what it ended; does not wait until the cluster has recovered.

        Raises:
            LabError: it could not be done.
        """


def lacks_nodes(plan: Plan, *names: str, at_least: int = 1) -> str | None:
    """Return what is wrong with a plan for a fault, or None.

    Args:
        plan: of the lab.
        names: nodes that the fault names.
        at_least: how many nodes the fault needs.
    """
    strangers = [name for name in names if name not in plan.names]
    if strangers:
        return f"There is no {strangers[0]} in this lab."
    if len(plan.names) < at_least:
        return f"It takes a lab of at least {at_least} nodes."
    return None
