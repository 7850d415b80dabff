"""One node differs from the others: another program, another clock, an old configuration."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.faults.services import AIMS, ALL
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Launch, Service

FIND_FAKETIME = "ls /usr/lib/*/faketime/libfaketimeMT.so.1"
NO_FAKETIME = "libfaketime is not on the node: `apt-get install faketime`."

OFFSETS_S = (-86_400, -3600, -30, 30, 3600, 86_400)


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """A daemon of a node is started anew with a clock that is wrong; healing starts it as usual.

    Attributes:
        offset_s: how much its clock is ahead, negative for behind. Monotonic clocks stay right.
        service: whose: "pmxcfs" or "corosync".
    """

    name: ClassVar[str] = "clock_skew"
    node: str
    offset_s: int
    service: str = Service.PMXCFS.value

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names), chance.choice(OFFSETS_S))

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if self.service not in AIMS or self.service == ALL:
            return "service is pmxcfs or corosync."
        reason = lacks_nodes(lab.plan, self.node)
        if reason is not None:
            return reason
        return None if _faketime(lab, self.node) else NO_FAKETIME

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        environment = {
            "LD_PRELOAD": _faketime(lab, self.node),
            "FAKETIME": f"{self.offset_s:+d}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        _restart(lab, self.node, Service(self.service), Launch(environment=environment))

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        _restart(lab, self.node, Service(self.service), Launch())


@dataclass(frozen=True, slots=True)
class OtherBinary:
    """One node is upgraded or downgraded: it stops, and runs another pmxcfs; healing puts it back.

    Attributes:
        program: path of the executable, the same on the node.
    """

    name: ClassVar[str] = "other_binary"
    node: str
    program: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault: only programs that the plan names for some other node are known."""
        known = sorted({node.binary for node in plan.nodes if node.binary is not None})
        if not known:
            return None
        program = chance.choice(known)
        victims = [node.name for node in plan.nodes if node.binary != program]
        return cls(chance.choice(victims), program) if victims else None

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        reason = lacks_nodes(lab.plan, self.node)
        if reason is not None:
            return reason
        found = lab.exec(self.node, "test", "-x", self.program)
        return None if found.exit_status == 0 else f"{self.node} cannot run {self.program}."

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        _restart(lab, self.node, Service.PMXCFS, Launch(self.program))

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        _restart(lab, self.node, Service.PMXCFS, Launch())


@dataclass(frozen=True, slots=True)
class OldConfiguration:
    """A node comes back with an older corosync.conf than the others have: its corosync ends.

    So come the ghosts: it may have joined their ring before it ends. Healing gives it the others'.
    """

    name: ClassVar[str] = "old_configuration"
    node: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if plan.local or len(plan.names) < 3:
            return None
        return cls(chance.choice(plan.names))

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault: the others must be quorate without it, to take a new configuration."""
        return lacks_nodes(lab.plan, self.node, at_least=3)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.stop(self.node)
        others = [name for name in lab.plan.names if name != self.node]
        lab.wait(others, busy=True)
        lab.publish_configuration(others)
        for service in Service:
            lab.start_unattended(self.node, service)

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.kill(self.node)
        other = next(name for name in lab.plan.names if name != self.node)
        lab.copy_configuration(other, self.node)
        lab.start(self.node)


def _restart(lab: Lab, node: str, service: Service, launch: Launch) -> None:
    lab.stop(node, [service])
    lab.start(node, [service], launch=launch)


def _faketime(lab: Lab, node: str) -> str:
    """Return the path of the library on the node, empty if it is not there."""
    try:
        found = lab.exec(node, "sh", "-c", FIND_FAKETIME)
    except LabError:
        return ""
    return found.stdout.decode().strip()
