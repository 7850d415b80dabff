"""Loss of power: what was not synced is gone, whole or torn at 512 bytes, on one node or many."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.faults.disks import lacks_layer
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Service

TORN = 0.5
"""Share of the un-synced sectors that reached the disk when writes are torn."""


class _PowerFault:
    """A fault that kills daemons and then takes away what their disks had not got yet."""

    __slots__ = ()

    def victims(self) -> tuple[str, ...]:
        """Return the nodes."""
        raise NotImplementedError

    def loss(self) -> tuple[int, float]:
        """Return the seed, and the share of un-synced sectors that reached the disk by chance."""
        raise NotImplementedError

    def services(self) -> tuple[Service, ...]:
        """Return which daemons go down."""
        return (Service.PMXCFS,)

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return self.victims()

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if not 0 <= self.loss()[1] <= 1:
            return "keep is a share from 0 to 1."
        return lacks_layer(lab.plan, *self.victims())

    def inject(self, lab: Lab) -> None:
        """See Fault. All nodes at once: what one answers after another's end is as if before it."""
        seed, keep = self.loss()
        _on_all(self.victims(), lambda name: lab.kill(name, self.services()))
        for name in self.victims():
            lab.disk(name).cut_power(seed, keep)

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        _on_all(self.victims(), lab.start)


@dataclass(frozen=True, slots=True)
class LostWrites(_PowerFault):
    """pmxcfs is killed, and all that it had not synced is lost. Healing starts it."""

    name: ClassVar[str] = "lost_writes"
    node: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names)) if plan.options.disk else None

    def victims(self) -> tuple[str, ...]:
        """See _PowerFault."""
        return (self.node,)

    def loss(self) -> tuple[int, float]:
        """See _PowerFault."""
        return 0, 0.0


@dataclass(frozen=True, slots=True)
class TornWrites(_PowerFault):
    """pmxcfs is killed; of what it had not synced some sectors of 512 bytes are lost, some not.

    Attributes:
        seed: decides which.
    """

    name: ClassVar[str] = "torn_writes"
    node: str
    seed: int = 0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if not plan.options.disk:
            return None
        return cls(chance.choice(plan.names), chance.getrandbits(32))

    def victims(self) -> tuple[str, ...]:
        """See _PowerFault."""
        return (self.node,)

    def loss(self) -> tuple[int, float]:
        """See _PowerFault."""
        return self.seed, TORN


@dataclass(frozen=True, slots=True)
class PowerOff(_PowerFault):
    """Hosts lose power: all daemons die at once, and what was not synced is lost, or torn.

    Attributes:
        nodes: which; several at the same moment.
        seed: decides what reached the disk.
        keep: share of un-synced sectors that did, 0 for none.
    """

    name: ClassVar[str] = "power_off"
    nodes: tuple[str, ...]
    seed: int = 0
    keep: float = 0.0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if not plan.options.disk:
            return None
        count = chance.choice((1, 1, len(plan.names)))
        nodes = tuple(sorted(chance.sample(plan.names, count)))
        return cls(nodes, chance.getrandbits(32), chance.choice((0.0, 0.5)))

    def victims(self) -> tuple[str, ...]:
        """See _PowerFault."""
        return self.nodes

    def loss(self) -> tuple[int, float]:
        """See _PowerFault."""
        return self.seed, self.keep

    def services(self) -> tuple[Service, ...]:
        """See _PowerFault."""
        return tuple(Service)


def _on_all(names: Sequence[str], work: Callable[[str], object]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        list(pool.map(work, names))
