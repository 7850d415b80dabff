"""The lab's network: one bridge a side of a partition, in a network namespace of its own.

Nothing of it is visible on the host, and a container engine's packet filter cannot drop its frames.
Nodes are cut off by moving the switch's end of their cable to another bridge: the node's own
interface keeps its carrier, as with a broken switch.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import NODES_MAX, NodePlan
from pmxcfs_lab.provider import Groups

COMMAND_WITHIN_S = 20.0


class Network:
    """The switch and the nodes' cables.

    Args:
        switch_pid: a process that lives in the switch's network namespace.
    """

    def __init__(self, switch_pid: int) -> None:
        self._switch_pid = switch_pid

    def create(self) -> None:
        """Make the first bridge, unless it is there; the others come with partitions."""
        if _bridge(0) not in self._links():
            self._batch([*_add_bridge(0), "link set lo up"])

    def plug_in(self, node: NodePlan, node_pid: int) -> None:
        """Give the node eth0 with its address, and plug it into the first bridge.

        Args:
            node: whom.
            node_pid: a process in the node's network namespace, as seen by us.
        """
        port = _port(node.name)
        self._unplug(port)
        self._batch(
            [
                f"link add {port} type veth peer name eth0 netns {node_pid}",
                f"link set {port} master {_bridge(0)} up",
            ]
        )
        _ip_batch(
            node_pid,
            ["link set lo up", f"addr add {node.address}/24 dev eth0", "link set eth0 up"],
        )

    def partition(self, groups: Groups) -> None:
        """Put each group on a bridge of its own.

        Raises:
            LabError: a node is not plugged in; nothing was changed.
        """
        links = self._links()
        for name in (name for group in groups for name in group):
            if _port(name) not in links:
                raise LabError(f"{name} has no cable: it does not run.", "`up` makes it again.")
        lines: list[str] = []
        for number, group in enumerate(groups):
            if _bridge(number) not in links:
                lines += _add_bridge(number)
            lines += [f"link set {_port(name)} master {_bridge(number)}" for name in group]
        self._batch(lines)

    def groups(self, names: Sequence[str]) -> Groups:
        """Return the nodes by bridge, in order."""
        links = self._links()
        bridge_of = {name: links.get(_port(name)) for name in names}
        found = (
            tuple(name for name in names if bridge_of[name] == _bridge(number))
            for number in range(NODES_MAX)
        )
        return tuple(group for group in found if group)

    def _unplug(self, port: str) -> None:
        """Remove the cable of a predecessor: the kernel does so too, but takes its time."""
        if port in self._links():
            subprocess.run(
                [*self._enter(), "ip", "link", "delete", port], capture_output=True, check=False
            )

    def _links(self) -> dict[str, str | None]:
        """Return the bridge (or None) of every interface in the switch."""
        text = _run([*self._enter(), "ip", "-j", "link"])
        return {link["ifname"]: link.get("master") for link in json.loads(text)}

    def _batch(self, lines: Iterable[str]) -> None:
        _ip_batch(self._switch_pid, lines)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._switch_pid}/ns/net"]


def _add_bridge(number: int) -> list[str]:
    name = _bridge(number)
    options = "stp_state 0 forward_delay 0 mcast_snooping 0"
    return [f"link add {name} type bridge {options}", f"link set {name} up"]


def _bridge(number: int) -> str:
    return f"side{number}"


def _port(node: str) -> str:
    return f"to-{node}"


def _ip_batch(pid: int, lines: Iterable[str]) -> None:
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
