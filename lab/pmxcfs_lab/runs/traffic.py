"""Kinds of traffic, as values: which clients run on which nodes, and what they are told.

Source: docs/LAB.md, "Traffic".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pmxcfs_lab.runs.clients.files import TOP
from pmxcfs_lab.runs.clients.locks import FOLDER as LOCKS

VIEWS = (".vmlist", ".members", ".version", ".clusterlog")

BOUNDS_S: Mapping[str, float] = {
    "change": 45.0,
    "update": 90.0,
    "fsync": 30.0,
    "read": 45.0,
    "list": 45.0,
    "view": 20.0,
    "ask": 20.0,
}
"""How long a call may take, by its name; a client that is not named here makes a change.

A change is answered after 30 s at the latest, an fsync after 10 (docs/GUARANTEES.md, "What waits
for whom"); an update is two changes that follow each other; a read may wait for the kernel's lock
on a directory in which a change waits. The rest is for a machine that has other things to do.
"""


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    Attributes:
        name: unlike any other's in the run.
        kind: see `clients.session.Order`.
        node: where it runs.
        options: what its kind takes.
        folders: what must be there before it begins.
        files: what it writes, for others to read.
    """

    name: str
    kind: str
    node: str
    options: Mapping[str, Any]
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Traffic(Protocol):
    """A kind of traffic.

    Attributes:
        name: for the report.
    """

    @property
    def name(self) -> str:
        """What it is called in the report and in the names of its clients."""

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """Return its clients.

        Args:
            nodes: all nodes of the lab.
            files: what clients of this run write; empty while they are still asked for it.
        """


@dataclass(frozen=True, slots=True)
class Updates:
    """Files replaced as management tools do, a draft renamed over each; on every node.

    Attributes:
        files: how many each client has; 0: a new one each time, which nobody reads.
        lines: a file has up to so many.
        sync_one_in: one in so many updates is followed by an fsync of its folder; 0 for none.
        on: nodes; all if empty.
    """

    every_s: float = 0.25
    files: int = 4
    lines: int = 60
    sync_one_in: int = 5
    on: tuple[str, ...] = ()
    name: str = "updates"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        return [self._client(node) for node in self.on or nodes]

    def _client(self, node: str) -> Client:
        client = f"{self.name}-{node}"
        folder = f"{TOP}/{client}"
        options = {
            "every_s": self.every_s,
            "files": self.files,
            "lines": self.lines,
            "sync_one_in": self.sync_one_in,
        }
        paths = tuple(f"{folder}/{number}" for number in range(self.files))
        return Client(client, "update", node, options, (folder,), paths)


def deposits(every_s: float = 0.5) -> Updates:
    """Return updates that make a new file each time: each one is missed if it is lost."""
    return Updates(every_s=every_s, files=0, lines=10, sync_one_in=10, name="deposits")


def big_files(on: tuple[str, ...] = ("node2",)) -> Updates:
    """Return updates of files that come close to the limit of 1 MiB."""
    return Updates(every_s=2.0, files=2, lines=40_000, sync_one_in=4, on=on, name="big")


@dataclass(frozen=True, slots=True)
class Reads:
    """Everybody's files and the daemons' own read through the mount, on every node."""

    every_s: float = 0.05
    views: tuple[str, ...] = VIEWS
    on: tuple[str, ...] = ()
    name: str = "reads"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        options = {"every_s": self.every_s, "paths": list(files), "views": list(self.views)}
        return [Client(f"{self.name}-{node}", "read", node, options) for node in self.on or nodes]


@dataclass(frozen=True, slots=True)
class Locks:
    """Three contenders for the same locks, each on a node of its own.

    Attributes:
        names: of the locks.
        hold_s: how long a lock is held.
        abandoned: one more lock, which whoever gets it never gives back: it crashed.
    """

    every_s: float = 0.15
    names: tuple[str, ...] = ("file-storage_cfg", "domain-pve", "file-user_cfg")
    hold_s: float = 0.1
    abandoned: str | None = None
    contenders: int = 3
    name: str = "locks"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        options = {
            "every_s": self.every_s,
            "names": list(self.names),
            "hold_s": self.hold_s,
            "abandoned": self.abandoned,
        }
        return [
            Client(f"{self.name}-{node}", "contend", node, options, (LOCKS,))
            for node in nodes[: self.contenders]
        ]


@dataclass(frozen=True, slots=True)
class Guests:
    """Three clients that make, migrate and remove guests of the same few numbers."""

    every_s: float = 0.3
    vmids: tuple[int, ...] = (100, 101, 102, 103)
    callers: int = 3
    name: str = "guests"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        options = {"every_s": self.every_s, "nodes": list(nodes), "vmids": list(self.vmids)}
        folders = tuple(f"nodes/{node}/qemu-server" for node in nodes)
        return [
            Client(f"{self.name}-{node}", "migrate", node, options, folders)
            for node in nodes[-self.callers :]
        ]


@dataclass(frozen=True, slots=True)
class Status:
    """Values published on every node, as the status daemon does."""

    every_s: float = 1.0
    name: str = "status"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        options = {"every_s": self.every_s}
        return [Client(f"{self.name}-{node}", "publish", node, options) for node in nodes]


@dataclass(frozen=True, slots=True)
class Asks:
    """Files and lists read through the local service, on the first and the last node."""

    every_s: float = 0.1
    name: str = "asks"

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        options = {"every_s": self.every_s, "paths": list(files)}
        return [
            Client(f"{self.name}-{node}", "ask", node, options)
            for node in sorted({nodes[0], nodes[-1]})
        ]


@dataclass(frozen=True, slots=True)
class Program:
    """Clients of your own: a Python file with a function `run(session)`, on every node.

    Attributes:
        path: where the file is, on the nodes too.
        options: what it finds as `session.order.options`.
        folders: made before it begins.
    """

    path: str
    name: str = "program"
    options: Mapping[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    on: tuple[str, ...] = ()

    def clients(self, nodes: Sequence[str], files: Sequence[str]) -> Sequence[Client]:
        """See Traffic."""
        return [
            Client(f"{self.name}-{node}", self.path, node, dict(self.options), self.folders)
            for node in self.on or nodes
        ]


EVERYDAY: tuple[Traffic, ...] = (
    Updates(),
    deposits(),
    big_files(),
    Reads(),
    Locks(),
    Guests(),
    Status(),
    Asks(),
)
"""What a cluster has to do on any day."""


def cast(traffic: Sequence[Traffic], nodes: Sequence[str]) -> list[Client]:
    """Return all clients of a run; those that read know what the others write."""
    files = [
        file for kind in traffic for client in kind.clients(nodes, ()) for file in client.files
    ]
    return [client for kind in traffic for client in kind.clients(nodes, files)]
