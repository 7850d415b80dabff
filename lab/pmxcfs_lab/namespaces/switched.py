"""The lab's network when its frames go through the lab's own switch: every interface is its TAP."""

from collections.abc import Sequence

from pmxcfs_lab.links.rules import Rule, cuts_between
from pmxcfs_lab.namespaces.network import interface, ip_batch, set_addresses
from pmxcfs_lab.plan import NodePlan
from pmxcfs_lab.provider import Groups
from pmxcfs_lab.switch.client import SwitchControl
from pmxcfs_lab.switch.forwarding import ethernet_address

PARTITION = "partition"
"""Key of the rules that keep the sides of a partition apart."""


class SwitchedNetwork:
    """The same as `network.Network`, for a lab with a switch of its own.

    Args:
        switch: which runs.
        links: how many each node has.
    """

    def __init__(self, switch: SwitchControl, links: int) -> None:
        self._switch = switch
        self._links = links

    def plug_in(self, node: NodePlan, node_pid: int) -> None:
        """Give the node its interfaces with their addresses; see `Network.plug_in`."""
        for link in range(self._links):
            self._switch.plug_in(node.name, node.node_id, link, node_pid, interface(link))
            address = ethernet_address(link, node.node_id).hex(":")
            ip_batch(node_pid, [f"link set {interface(link)} address {address}"])
        set_addresses(node, node_pid, self._links)

    def partition(self, groups: Groups) -> None:
        """Keep the groups apart."""
        self._switch.shape(PARTITION, cuts_between(groups))

    def groups(self, names: Sequence[str]) -> Groups:
        """Return the sides of the partition, in order."""
        return sides(names, self._switch.shapes().get(PARTITION, ()))


def sides(names: Sequence[str], rules: Sequence[Rule]) -> Groups:
    """Return who is together with whom under the rules of a partition."""
    apart = {(rule.from_, rule.to) for rule in rules}
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if (name, group[0]) not in apart:
                group.append(name)
                break
        else:
            groups.append([name])
    return tuple(map(tuple, groups))
