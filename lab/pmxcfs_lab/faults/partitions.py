"""Who reaches whom: nodes cut off from others, in both directions."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan


@dataclass(frozen=True, slots=True)
class Isolate:
    """One node reaches nobody, and nobody reaches it."""

    name: ClassVar[str] = "isolate"
    node: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names)) if len(plan.names) > 1 else None

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return ()

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        return lacks_nodes(lab.plan, self.node, at_least=2)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.partition(self.node)

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.heal()


@dataclass(frozen=True, slots=True)
class Halves:
    """The nodes fall into two sides as equal as can be: of 3 or 5, one side keeps the majority.

    Attributes:
        one: the smaller side; all other nodes are the other one.
    """

    name: ClassVar[str] = "halves"
    one: tuple[str, ...]

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        half = len(plan.names) // 2
        return cls(tuple(sorted(chance.sample(plan.names, half)))) if half else None

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return ()

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if len(self.one) != len(lab.plan.names) // 2:
            return f"{', '.join(self.one) or 'Nobody'} is not half of this lab."
        return lacks_nodes(lab.plan, *self.one, at_least=2)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.partition(",".join(self.one))

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.heal()


@dataclass(frozen=True, slots=True)
class Partition:
    """The nodes fall into several sides.

    Attributes:
        groups: the sides; nodes that are not named are one side more.
    """

    name: ClassVar[str] = "partition"
    groups: tuple[tuple[str, ...], ...]

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if len(plan.names) < 2:
            return None
        sides = chance.randint(2, len(plan.names))
        names = chance.sample(plan.names, len(plan.names))
        return cls(tuple(tuple(sorted(names[number::sides])) for number in range(sides)))

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return ()

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        named = [name for group in self.groups for name in group]
        if len(set(named)) < len(named):
            return "A node cannot be on two sides."
        return lacks_nodes(lab.plan, *named, at_least=2)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.partition(*(",".join(group) for group in self.groups))

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.heal()
