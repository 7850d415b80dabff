"""Which nodes of a lab run the reference, and who is there first.

The scenarios that mixed clusters share with ours (`make mixed`) get their `lab` in each of these.
"""

import os
from dataclasses import dataclass

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .services import end

NAMES = ("node1", "node2", "node3")

FIRST_CONTENT = (
    "mkdir -p /etc/pve/first/deep && echo one > /etc/pve/first/deep/file && "
    "head -c 300000 /dev/urandom > /etc/pve/first/big"
)
"""What those who are there first have before the others come."""

WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """Nodes of three that run the reference; the others run ours.

    Attributes:
        theirs: their names, in order.
        theirs_first: whether they make the cluster that the others join, or the other way round.
            Whoever is first has all content, so leads the first synchronisation.
    """

    theirs: tuple[str, ...] = ()
    theirs_first: bool = False

    def __str__(self) -> str:
        """Return a name for a test report, for example ``theirs_12_first``; for `-k` too."""
        if not self.theirs:
            return "ours"
        numbers = "".join(name.removeprefix("node") for name in self.theirs)
        return f"theirs_{numbers}_{'first' if self.theirs_first else 'second'}"

    @property
    def ours(self) -> tuple[str, ...]:
        """The names of the nodes that run our daemon."""
        return tuple(name for name in NAMES if name not in self.theirs)

    @property
    def first(self) -> tuple[str, ...]:
        """Who is there first."""
        return self.theirs if self.theirs_first else self.ours

    def binaries(self) -> dict[str, str]:
        """Return the executables of the nodes that do not run ours."""
        return dict.fromkeys(self.theirs, os.environ["PMXCFS_REFERENCE"]) if self.theirs else {}

    def join_in_order(self, lab: Lab) -> None:
        """Begin anew: some nodes make the cluster and fill it, the others join with nothing."""
        for name in lab.plan.names:
            end(lab, name, [Service.PMXCFS])
            lab.exec(name, "sh", "-c", "rm -f /var/lib/pve-cluster/config.db*")
        for name in self.first:
            lab.start(name, [Service.PMXCFS])
        lab.wait(self.first, within_s=WITHIN_S)
        done = lab.exec(self.first[0], "sh", "-c", FIRST_CONTENT)
        assert done.exit_status == 0, done.stderr
        for name in lab.plan.names:
            lab.start(name, [Service.PMXCFS])
        lab.wait(within_s=WITHIN_S)
        lab.trees_are_equal()


OURS = Mixture()

MIXTURES = (
    Mixture(("node1",), theirs_first=True),
    Mixture(("node3",), theirs_first=False),
    Mixture(("node1", "node2"), theirs_first=True),
    Mixture(("node2", "node3"), theirs_first=False),
)
"""One and two of three; the lowest node, which starts synchronisations, is theirs, is ours."""
