"""What happens to the disk under a node's database: full, failing, slow, damaged."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.disk.mood import WELL, Mood
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Service

CALLS = ("read", "write", "fsync")
LOG = "config.db-wal"
FILES = ("config.db", LOG)
DELAY_MS_MAX = 60_000.0

FLIP = """\
import os, random, sys
path, bits, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
if not os.path.exists(path) or not os.path.getsize(path):
    sys.exit()
with open(path, "r+b") as file:
    content = bytearray(file.read())
    for _ in range(bits):
        place = chance.randrange(len(content) * 8)
        content[place // 8] ^= 1 << place % 8
    file.seek(0)
    file.write(content)
"""

REMOVE = "rm -f /var/lib/pve-cluster/config.db*"

NO_LAYER = "It takes a disk layer: bring the lab up with `--disk`."


class _MoodFault:
    """A fault that is nothing but a mood of one node's disk."""

    __slots__ = ()

    node: str

    def mood(self) -> Mood:
        """Return how the disk behaves meanwhile."""
        raise NotImplementedError

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault: a daemon may end when its disk fails."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        return lacks_layer(lab.plan, self.node)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.disk(self.node).set_mood(self.mood())

    def heal(self, lab: Lab) -> None:
        """See Fault: a daemon whose disk failed says that only a restart helps."""
        lab.disk(self.node).set_mood(WELL)
        lab.kill(self.node, [Service.PMXCFS])
        lab.start(self.node)


@dataclass(frozen=True, slots=True)
class DiskFull(_MoodFault):
    """No file can grow and none can be made: ENOSPC. Healing makes room and restarts pmxcfs."""

    name: ClassVar[str] = "disk_full"
    node: str

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        return cls(chance.choice(plan.names)) if plan.options.disk else None

    def mood(self) -> Mood:
        """See _MoodFault."""
        return Mood(full=True)


@dataclass(frozen=True, slots=True)
class DiskErrors(_MoodFault):
    """Calls end in EIO. Healing ends that and restarts pmxcfs.

    Attributes:
        calls: which: "read", "write", "fsync".
    """

    name: ClassVar[str] = "disk_errors"
    node: str
    calls: tuple[str, ...] = ("write",)

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if not plan.options.disk:
            return None
        return cls(chance.choice(plan.names), (chance.choice(CALLS),))

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if not self.calls or not set(self.calls) <= set(CALLS):
            return f"calls are some of {', '.join(CALLS)}."
        return lacks_layer(lab.plan, self.node)

    def mood(self) -> Mood:
        """See _MoodFault."""
        return Mood(failing=self.calls)


@dataclass(frozen=True, slots=True)
class DiskSlow(_MoodFault):
    """Every read, write and sync takes so much longer."""

    name: ClassVar[str] = "disk_slow"
    node: str
    delay_ms: float = 50.0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if not plan.options.disk:
            return None
        return cls(chance.choice(plan.names), chance.choice((5.0, 50.0, 500.0)))

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if not 0 < self.delay_ms <= DELAY_MS_MAX:
            return f"delay_ms is above 0, at most {DELAY_MS_MAX:.0f}."
        return lacks_layer(lab.plan, self.node)

    def mood(self) -> Mood:
        """See _MoodFault."""
        return Mood(delay_ms=self.delay_ms)

    def heal(self, lab: Lab) -> None:
        """See Fault: a slow disk needs no restart."""
        lab.disk(self.node).set_mood(WELL)
        lab.start(self.node)


@dataclass(frozen=True, slots=True)
class BitFlips:
    """Bits of the database are turned while pmxcfs is down; then it is started, or refuses to.

    Healing removes the database, so that the node takes over the others' tree. The seed chooses
    only the log, whose frames have checksums. A bit of config.db may be one of a file's text, or of
    the tree's version, which decides whom the others follow: no format has anything to tell it by.

    Attributes:
        file: "config.db" or "config.db-wal". pmxcfs is killed, so that there is a -wal; one that
            is empty all the same has no bits.
        bits: how many.
        seed: decides which.
    """

    name: ClassVar[str] = "bit_flips"
    node: str
    file: str = "config.db"
    bits: int = 1
    seed: int = 0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if len(plan.names) < 2 or plan.local:
            return None
        return cls(
            chance.choice(plan.names), LOG, chance.choice((1, 8, 64)), chance.getrandbits(32)
        )

    def touched(self, plan: Plan) -> tuple[str, ...]:
        """See Fault."""
        return (self.node,)

    def available(self, lab: Lab) -> str | None:
        """See Fault."""
        if self.file not in FILES or self.bits < 1:
            return f"file is {' or '.join(FILES)}, bits at least 1."
        return lacks_nodes(lab.plan, self.node, at_least=2)

    def inject(self, lab: Lab) -> None:
        """See Fault."""
        lab.kill(self.node, [Service.PMXCFS])
        path = f"/var/lib/pve-cluster/{self.file}"
        done = lab.exec(self.node, "python3", "-c", FLIP, path, str(self.bits), str(self.seed))
        if done.exit_status != 0:
            raise LabError(f"{self.node}: {path}: {done.stderr.decode().strip()}")
        lab.start(self.node)

    def heal(self, lab: Lab) -> None:
        """See Fault."""
        lab.kill(self.node, [Service.PMXCFS])
        lab.exec(self.node, "sh", "-c", REMOVE)
        lab.start(self.node)


def lacks_layer(plan: Plan, *nodes: str) -> str | None:
    """Return why the disks of these nodes can't fail, or None."""
    return lacks_nodes(plan, *nodes) or (None if plan.options.disk else NO_LAYER)
