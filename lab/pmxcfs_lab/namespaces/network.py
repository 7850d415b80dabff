"""The lab's network: one bridge a side of a partition, in a network namespace of its own.

Nothing of it is visible on the host, and a container engine's packet filter cannot drop its frames.
Nodes are cut off by moving the switch's end of their cable to another bridge: the node's own
interface keeps its carrier, as with a broken switch.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from itertools import product

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import NODES_MAX, NodePlan
from pmxcfs_lab.provider import Groups

COMMAND_WITHIN_S = 20.0


class Network:
    """The switch and the nodes' cables.

    Args:
        switch_pid: a process that lives in the switch's network namespace.
        links: how many each node has.
    """

    def __init__(self, switch_pid: int, links: int) -> None:
        self._switch_pid = switch_pid
        self._links = links

    def create(self) -> None:
        """Make the first bridge of each link, unless it is there; others come with partitions."""
        if _bridge(0, 0) not in self._plugged():
            bridges = (_add_bridge(_bridge(0, link)) for link in range(self._links))
            self._batch([*(line for lines in bridges for line in lines), "link set lo up"])

    def plug_in(self, node: NodePlan, node_pid: int) -> None:
        """Give the node eth0 with its address, and plug it into the first bridge.

        Args:
            node: whom.
            node_pid: a process in the node's network namespace, as seen by us.
        """
        for link in range(self._links):
            port = _port(node.name, link)
            self._unplug(port)
            self._batch(
                [
                    f"link add {port} type veth peer name {interface(link)} netns {node_pid}",
                    f"link set {port} master {_bridge(0, link)} up",
                ]
            )
        set_addresses(node, node_pid, self._links)

    def partition(self, groups: Groups) -> None:
        """Put each group on a bridge of its own.

        Raises:
            LabError: a node is not plugged in; nothing was changed.
        """
        plugged = self._plugged()
        for name in (name for group in groups for name in group):
            if _port(name, 0) not in plugged:
                raise LabError(f"{name} has no cable: it does not run.", "`up` makes it again.")
        lines: list[str] = []
        for number, link in product(range(len(groups)), range(self._links)):
            bridge = _bridge(number, link)
            if bridge not in plugged:
                lines += _add_bridge(bridge)
            ports = (_port(name, link) for name in groups[number])
            lines += [f"link set {port} master {bridge}" for port in ports]
        self._batch(lines)

    def groups(self, names: Sequence[str]) -> Groups:
        """Return the nodes by bridge, in order."""
        plugged = self._plugged()
        bridge_of = {name: plugged.get(_port(name, 0)) for name in names}
        found = (
            tuple(name for name in names if bridge_of[name] == _bridge(number, 0))
            for number in range(NODES_MAX)
        )
        return tuple(group for group in found if group)

    def _unplug(self, port: str) -> None:
        """Remove the cable of a predecessor: the kernel does so too, but takes its time."""
        if port in self._plugged():
            subprocess.run(
                [*self._enter(), "ip", "link", "delete", port], capture_output=True, check=False
            )

    def _plugged(self) -> dict[str, str | None]:
        """Return the bridge (or None) of every interface in the switch."""
        text = _run([*self._enter(), "ip", "-j", "link"])
        return {link["ifname"]: link.get("master") for link in json.loads(text)}

    def _batch(self, lines: Iterable[str]) -> None:
        ip_batch(self._switch_pid, lines)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._switch_pid}/ns/net"]


def set_addresses(node: NodePlan, node_pid: int, links: int) -> None:
    """Bring a node's interfaces up, with their addresses."""
    lines = ["link set lo up"]
    for link in range(links):
        lines += [
            f"addr add {node.address_on(link)}/24 dev {interface(link)}",
            f"link set {interface(link)} up",
        ]
    ip_batch(node_pid, lines)


def interface(link: int) -> str:
    """Return the name that a node's interface has on the node."""
    return f"eth{link}"


def _add_bridge(name: str) -> list[str]:
    options = "stp_state 0 forward_delay 0 mcast_snooping 0"
    return [f"link add {name} type bridge {options}", f"link set {name} up"]


def _bridge(number: int, link: int) -> str:
    return f"side{number}" if link == 0 else f"side{number}-{link}"


def _port(node: str, link: int) -> str:
    return f"to-{node}" if link == 0 else f"to-{node}-{link}"


def ip_batch(pid: int, lines: Iterable[str]) -> None:
    """Run `ip` lines in the network namespace of a process; the first that fails ends it."""
    _run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"], "\n".join(lines) + "\n")


def _run(argv: Sequence[str], stdin: str = "") -> str:
    completed = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
    )
    if completed.returncode != 0:
        raise LabError(
            f"The lab's network refused: {completed.stderr.strip()}", f"It was asked:\n{stdin}"
        )
    return completed.stdout
