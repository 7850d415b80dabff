"""The nodes of the cluster, as configured and as seen: who exists, who is online, and where."""

from collections.abc import Iterable
from dataclasses import dataclass

from pmxcfs.identity import NodeId


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node that corosync's configuration names, and how much it counts for quorum."""

    node_id: NodeId
    name: str
    votes: int = 1


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """The cluster as corosync's configuration map has it.

    Attributes:
        name: of the cluster.
        config_version: counts the edits of the configuration.
        nodes: by their ids.
        other_votes: votes that are expected and belong to no node: a quorum device's.
    """

    name: str
    config_version: int
    nodes: tuple[ClusterNode, ...]
    other_votes: int = 0

    @property
    def votes(self) -> int:
        """All votes that are expected."""
        return sum(node.votes for node in self.nodes) + self.other_votes


class Membership:
    """The configured nodes and which of them take part, with a counter that moves on every change.

    Nodes stay as they were when the connection to the group is lost; the next configuration
    change corrects them. Addresses are kept by name, even of nodes that are gone.

    Source: docs/PROTOCOL.md, "Status texts".
    """

    def __init__(self) -> None:
        self.info: ClusterInfo | None = None
        self.version = 1  # what we know of ourselves
        self._online: frozenset[NodeId] = frozenset()
        self._ips: dict[str, bytes] = {}

    def learn_nodes(self, info: ClusterInfo) -> None:
        """Take over a new reading of corosync's configuration."""
        self.info = info
        self.version += 1

    def learn_online(self, node_ids: Iterable[NodeId]) -> None:
        """Take over the members of the group after a configuration change."""
        self._online = frozenset(node_ids)
        if self.info is not None:
            self.version += 1

    def begin_with(self, name: str, ip: bytes) -> None:
        """Know our own address from the start."""
        self._ips[name] = ip

    def learn_ip(self, name: str, ip: bytes) -> None:
        """Take over the address that a node tells, as text."""
        if self._ips.get(name) != ip:
            self._ips[name] = ip
            self.version += 1

    def is_online(self, node_id: NodeId) -> bool:
        """Whether a process of this node is in the group."""
        return node_id in self._online

    def ip_of(self, name: str) -> bytes | None:
        """Return the address that a node told, as text; None if it told none."""
        return self._ips.get(name)

    def name_of(self, node_id: NodeId) -> str | None:
        """Return the configured name of a node, or None if the configuration has no such node."""
        nodes = self.info.nodes if self.info is not None else ()
        return next((node.name for node in nodes if node.node_id == node_id), None)
