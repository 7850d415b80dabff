"""What a lab shall consist of: pure values, parsed from the command line, stored as JSON."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.options import DEFAULT, Options

NODES_MAX = 9
"""More nodes than this make corosync's timing on one machine a matter of luck."""

WITNESS = "qnetd"
WITNESS_ID = 100
"""Name and number of the host that only has a vote; the number is no node id of corosync's."""

NETWORK = "10.97.0"
"""First three octets of all nodes' addresses where a lab has a network that nobody else sees."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node.

    Attributes:
        node_id: 1 to NODES_MAX, also corosync's node id.
        binary: path of a pmxcfs executable, or None for the one beside the lab's interpreter.
        network: first three octets of its address.
        offset: the fourth is its number and this, where the first addresses are others'.
    """

    node_id: int
    binary: str | None = None
    network: str = NETWORK
    offset: int = 0

    @property
    def name(self) -> str:
        """The host name."""
        return WITNESS if self.node_id == WITNESS_ID else f"node{self.node_id}"

    @property
    def address(self) -> str:
        """The IPv4 address on the lab's network."""
        return self.address_on(0)

    def address_on(self, link: int) -> str:
        """Return the IPv4 address on a link: each is a network of its own, 10.98 after 10.97."""
        first, second, third = self.network.split(".")
        return f"{first}.{int(second) + link}.{third}.{self.offset + self.node_id}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All nodes of a lab.

    Attributes:
        lab: the lab's name, also corosync's cluster name.
        nodes: in order of node id.
        local: every node stands alone (`pmxcfs -l`), without corosync.
        options: how the cluster is set up.
    """

    lab: str
    nodes: tuple[NodePlan, ...]
    local: bool = False
    options: Options = field(default=DEFAULT)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names in order."""
        return tuple(node.name for node in self.nodes)

    @property
    def witness(self) -> NodePlan | None:
        """The host that runs corosync-qnetd, if there is one."""
        return NodePlan(WITNESS_ID, network=self.nodes[0].network) if self.options.qdevice else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all machines: the nodes, and the witness."""
        return self.names if self.witness is None else (*self.names, WITNESS)

    def node(self, name: str) -> NodePlan:
        """Return the node, or the witness, of that name.

        Raises:
            LabError: the lab has no such node.
        """
        machines = self.nodes if self.witness is None else (*self.nodes, self.witness)
        for node in machines:
            if node.name == name:
                return node
        raise LabError(f'Lab "{self.lab}" has no {name}.', f"It has {', '.join(self.names)}.")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value from which `from_json` makes an equal plan."""
        nodes = [asdict(node) for node in self.nodes]
        options = asdict(self.options)
        return {"lab": self.lab, "nodes": nodes, "local": self.local, "options": options}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Return the plan that `to_json` wrote; another shape raises KeyError or TypeError."""
        nodes = tuple(NodePlan(**node) for node in value["nodes"])
        options = Options(**value.get("options", {}))
        return cls(value["lab"], nodes, value["local"], options)


def make_plan(
    lab: str,
    node_count: int,
    binaries: Mapping[str, str] | None = None,
    *,
    local: bool = False,
    network: str = NETWORK,
    offset: int = 0,
    options: Options = DEFAULT,
) -> Plan:
    """Return the plan of a lab with nodes 1 to node_count.

    Args:
        lab: the lab's name.
        node_count: 1 to NODES_MAX.
        binaries: path of another pmxcfs executable by node name.
        local: see `Plan`.
        network: see `NodePlan`.
        offset: see `NodePlan`.
        options: see `Plan`.

    Raises:
        LabError: too few or too many nodes, or a binary for a node outside the lab.
    """
    if not 1 <= node_count <= NODES_MAX:
        raise LabError(f"A lab has 1 to {NODES_MAX} nodes, not {node_count}.")
    paths = dict(binaries or {})
    nodes = tuple(
        NodePlan(number, paths.pop(f"node{number}", None), network, offset)
        for number in range(1, node_count + 1)
    )
    plan = Plan(lab, nodes, local, options)
    for stray in paths:
        plan.node(stray)
    return plan


def node_name(text: str) -> str:
    """Return "node2" for "2" as well as for "node2", and "qnetd" for the witness.

    Raises:
        LabError: the text names no node.
    """
    if text.strip() == WITNESS:
        return WITNESS
    match = re.fullmatch(r"(?:node)?([1-9])", text.strip())
    if match is None:
        raise LabError(f'"{text}" is no node.', "Say 2 or node2.")
    return f"node{match[1]}"


def parse_assignments(texts: Iterable[str], what: str) -> dict[str, str]:
    """Return {"node2": VALUE} for texts like "2=VALUE" or "node2=VALUE".

    Raises:
        LabError: no "=", no such node name, or one node twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not value:
            raise LabError(
                f'"{text}" is no NODE={what}.', f"For example 2=/path/of/{what.lower()}."
            )
        name = node_name(key)
        if name in values:
            raise LabError(f"{name} is given two values: {values[name]} and {value}.")
        values[name] = value
    return values


def parse_groups(texts: Sequence[str], names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return a partition of `names`: one tuple for each text, and one for the nodes left over.

    Args:
        texts: comma separated nodes, for example ["1,2", "3"].
        names: all nodes of the lab.

    Raises:
        LabError: a node that is not in the lab or stands in two groups, or no text at all.
    """
    groups = [tuple(node_name(item) for item in text.split(",")) for text in texts]
    named = [name for group in groups for name in group]
    if not named:
        raise LabError("No groups given.", "For example: partition 1,2 3")
    for name in named:
        if name not in names:
            raise LabError(f"{name} is not in this lab.", f"It has {', '.join(names)}.")
        if named.count(name) > 1:
            raise LabError(f"{name} cannot be on two sides of a partition.")
    rest = tuple(name for name in names if name not in named)
    return (*groups, rest) if rest else tuple(groups)
