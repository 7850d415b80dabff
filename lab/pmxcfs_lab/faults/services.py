"""What happens to the daemons of one node: killed, stopped, hanging, restarted again and again."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Service

ALL = "all"

AIMS = (Service.PMXCFS.value, Service.COROSYNC.value, ALL)
"""What `service` of a fault may be."""

STORM_TIMES_MAX = 20


@dataclass(frozen=True, slots=True)
class _DaemonFault:
    """A fault of the daemons of one node, which healing starts again."""

    node: str
    service: str = ALL

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names), chance.choice(_aims(plan)))

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        return _lacks(lab.plan, self.node, self.service)

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.start(self.node)


@dataclass(frozen=True, slots=True)
class Kill(_DaemonFault):
    """Daemons of a node are killed, as by kill -9; healing starts them."""

    name: ClassVar[str] = "kill"

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.kill(self.node, services_of(self.service))


@dataclass(frozen=True, slots=True)
class Stop(_DaemonFault):
    """Daemons of a node are stopped cleanly; healing starts them."""

    name: ClassVar[str] = "stop"

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.stop(self.node, services_of(self.service))


@dataclass(frozen=True, slots=True)
class Hang(_DaemonFault):
    """A daemon hangs: SIGSTOP, and SIGCONT when it heals."""

    name: ClassVar[str] = "hang"
    service: str = Service.PMXCFS.value

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.signal(self.node, services_of(self.service), "SIGSTOP")

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.signal(self.node, services_of(self.service), "SIGCONT")
        lab.start(self.node)  # corosync may have ended whoever hung too long


@dataclass(frozen=True, slots=True)
class RestartStorm:
    """corosync of a node is killed and started several times, as soon as it answers each time."""

    name: ClassVar[str] = "restart_storm"
    node: str
    times: int = 3

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return None if plan.local else cls(chance.choice(plan.names), chance.randint(2, 5))

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if not 1 <= self.times <= STORM_TIMES_MAX:
            return f"A storm is 1 to {STORM_TIMES_MAX} restarts."
        return _lacks(lab.plan, self.node, Service.COROSYNC.value)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        for _ in range(self.times):
            lab.kill(self.node, [Service.COROSYNC])
            lab.start(self.node, [Service.COROSYNC])

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.start(self.node)


def services_of(aim: str) -> tuple[Service, ...]:
    """Return the services that a word of AIMS means."""
    return tuple(Service) if aim == ALL else (Service(aim),)


def _aims(plan: Plan) -> tuple[str, ...]:
    """Return what can be aimed at; without corosync there is pmxcfs only."""
    return (Service.PMXCFS.value,) if plan.local else AIMS


def _lacks(plan: Plan, node: str, aim: str) -> str | None:
    if aim not in AIMS:
        return f'There is no service "{aim}": say {", ".join(AIMS)}.'
    if plan.local and aim == Service.COROSYNC:
        return "The nodes of this lab stand alone, without corosync."
    return lacks_nodes(plan, node)
