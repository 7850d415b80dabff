"""Who reaches whom: nodes cut off from others, or heard by some and not by others."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.faults.shaping import LinkFault
from pmxcfs_lab.links.rules import CUT, Rule, cuts_between
from pmxcfs_lab.plan import Plan


@dataclass(frozen=True, slots=True)
class Isolate(LinkFault):
    """One node reaches nobody, and nobody reaches it."""

    name: ClassVar[str] = "isolate"
    node: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names)) if len(plan.names) > 1 else None

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        return lacks_nodes(plan, self.node, at_least=2)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        others = tuple(name for name in plan.hosts if name != self.node)
        return cuts_between(((self.node,), others))


@dataclass(frozen=True, slots=True)
class Halves(LinkFault):
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

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        if len(self.one) != len(plan.names) // 2:
            return f"{', '.join(self.one) or 'Nobody'} is not half of this lab."
        return lacks_nodes(plan, *self.one, at_least=2)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        return cuts_between((self.one, _others(plan, *self.one)))


@dataclass(frozen=True, slots=True)
class Partition(LinkFault):
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

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        named = [name for group in self.groups for name in group]
        if len(set(named)) < len(named):
            return "A node cannot be on two sides."
        return lacks_nodes(plan, *named, at_least=2)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        named = [name for group in self.groups for name in group]
        return cuts_between((*self.groups, _others(plan, *named)))


@dataclass(frozen=True, slots=True)
class Bridge(LinkFault):
    """Two sides that do not reach each other, and one node that both reach.

    Attributes:
        node: the one in the middle.
        one: one side; all other nodes are the other one.
    """

    name: ClassVar[str] = "bridge"
    node: str
    one: tuple[str, ...]

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if len(plan.names) < 3:
            return None
        node, *others = chance.sample(plan.names, len(plan.names))
        return cls(node, tuple(sorted(others[: len(others) // 2])))

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        if self.node in self.one:
            return "The node in the middle is on no side."
        return lacks_nodes(plan, self.node, *self.one, at_least=3)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        return cuts_between((self.one, _others(plan, self.node, *self.one)))


@dataclass(frozen=True, slots=True)
class MajorityRing(LinkFault):
    """Every node hears a majority, itself among it, and no two nodes hear the same one.

    Attributes:
        ring: all nodes; each hears the nearest ones, the one before it first, then the one behind.
    """

    name: ClassVar[str] = "majority_ring"
    ring: tuple[str, ...]

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        names = plan.names
        return cls(tuple(chance.sample(names, len(names)))) if len(names) > 2 else None

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        if sorted(self.ring) != sorted(plan.names):
            return "A ring is all nodes of the lab, each once."
        return lacks_nodes(plan, at_least=3)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        return tuple(
            Rule(other, node, CUT)
            for place, node in enumerate(self.ring)
            for other in self.ring
            if other != node and other not in self._heard_at(place)
        )

    def _heard_at(self, place: int) -> tuple[str, ...]:
        neighbours = len(self.ring) // 2
        steps = [(step // 2 + 1) * (1 if step % 2 == 0 else -1) for step in range(neighbours)]
        return tuple(self.ring[(place - step) % len(self.ring)] for step in steps)


def _others(plan: Plan, *names: str) -> tuple[str, ...]:
    return tuple(name for name in plan.names if name not in names)
