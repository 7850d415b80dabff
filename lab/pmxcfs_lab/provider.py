"""What the lab asks of whoever provides the nodes: namespaces, containers, virtual machines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pmxcfs_lab.plan import Plan
from pmxcfs_lab.switch.client import SwitchControl

Say = Callable[[str], None]
"""Takes one line of progress for people."""

Groups = tuple[tuple[str, ...], ...]
"""Node names by side of a partition; one group means that the network is whole."""


class Service(StrEnum):
    """A program that runs on every node, in the order in which they are started."""

    COROSYNC = "corosync"
    PMXCFS = "pmxcfs"


class Capability(StrEnum):
    """What some providers' nodes have and others' have not; a test names what it needs."""

    HOST_FILES = "host_files"
    """Nodes see this machine's files, programs and libraries at the same paths."""

    SHARED_FOLDERS = "shared_folders"
    """Nodes see folders of this machine that they are told of, and it sees what they write."""

    HOSTS_FILE = "hosts_file"
    """A node knows names by its /etc/hosts alone; an engine's name service knows all nodes."""

    NINE_NODES = "nine_nodes"
    """A lab may have nine nodes."""

    TWO_LINKS = "two_links"
    """Nodes may have a second link."""

    WITNESS = "witness"
    """A further host may run corosync-qnetd."""

    RESIZING = "resizing"
    """A lab that runs may get and lose nodes."""

    SWITCH = "switch"
    """Frames may go through the lab's own switch."""

    NAMESPACES = "namespaces"
    """Nodes are processes of this machine, which the lab records itself."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a service is started, where that differs from the usual.

    Attributes:
        program: path of another executable, or None for the node's.
        environment: what it has in its environment on top.
    """

    program: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


AS_USUAL = Launch()


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran on a node.

    Attributes:
        exit_status: as in a shell, 128 + N for death by signal N.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes


class Provider(Protocol):
    """Nodes that can be made, entered, cut off and removed.

    Every method raises LabError with a sentence for people when it cannot do its work. A node is
    named as in the plan; a node that is not there is a LabError too.

    Attributes:
        nodes_max: how many nodes a lab may have.
        offset: see `NodePlan`.
        capabilities: what its nodes have that others' have not.
        python: path of the interpreter on a node that has our packages.
    """

    nodes_max: int
    offset: int
    capabilities: frozenset[Capability]
    python: str

    @property
    def network(self) -> str:
        """First three octets of the nodes' addresses in this lab, always the same."""

    def missing(self) -> Sequence[tuple[str, str]]:
        """Return (what this machine lacks, what to do about it), empty if nothing."""

    def up(self, plan: Plan, *, guard_fd: int, say: Say) -> None:
        """Make every node of the plan that does not run, with its network; start no service.

        What a node stored under /var/lib/pve-cluster, /var/lib/corosync, /var/log and /etc/corosync
        is still there when it is made again.

        Args:
            plan: what shall run.
            guard_fd: descriptor of the lab's lock. A process that outlives this call keeps it open
                until `down` of another process could find it.
            say: takes progress.
        """

    def down(self) -> bool:
        """Remove every node and its network, whatever state they are in; return if any was left.

        Stored files stay: the lab removes them.
        """

    def remove(self, node: str) -> None:
        """Remove one node; what it stored stays."""

    def running(self) -> tuple[str, ...]:
        """Return the names of all nodes that run, in order."""

    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        """Run a command on the node as root and wait for it."""

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command for this machine that runs argv on the node with our terminal."""

    def start(
        self, node: str, service: Service, *, local: bool = False, launch: Launch = AS_USUAL
    ) -> None:
        """Start the service; nothing happens if it runs. `local` adds -l to pmxcfs."""

    def stop(self, node: str, service: Service, *, within_s: float) -> None:
        """Ask the service to end and wait for it; nothing happens if it does not run."""

    def kill(self, node: str, services: Sequence[Service]) -> None:
        """End the services at once, as kill -9 does, all of them before waiting for any."""

    def signal(self, node: str, services: Sequence[Service], signal: str) -> None:
        """Send a signal, for example "SIGSTOP", to those of the services that run."""

    def partition(self, groups: Groups) -> None:
        """Let nodes reach each other only inside their group. One group of all heals."""

    def groups(self) -> Groups:
        """Return which running nodes reach each other now."""

    def switch(self) -> SwitchControl | None:
        """Return the lab's own switch; None if the kernel carries the frames."""

    def probe(self, node: str, *, with_tree: bool) -> Mapping[str, object]:
        """Return what `pmxcfs_lab.probe` sees on the node, plus the services' states.

        The key "services" maps a service's name to {"pid": number in the node or None,
        "exit_status": number or None}.
        """

    def logs(self, node: str) -> Mapping[str, Path]:
        """Return the node's log files on this machine by name, also when the node is down."""
