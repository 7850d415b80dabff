"""Who has to have a change before no quorum can go on without it.

A quorum has more than half of the expected votes. Nodes with more than half of them share at least
one node with every quorum, now and later. A quorum device's votes are expected, and it has no disk
for us: they are votes that nobody who asks for durability ever gets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field

from pmxcfs.identity import NodeId
from pmxcfs.values import value


@value(frozen=True, slots=True)
class Votes:
    """The nodes of the cluster's configuration with their votes.

    Attributes:
        of: the votes of each node.
        others: votes that belong to no node, as those of a quorum device.
    """

    of: Mapping[NodeId, int] = field(default_factory=dict)
    others: int = 0

    @property
    def expected(self) -> int:
        """All votes there are; 0 while the configuration is unknown."""
        return sum(self.of.values()) + self.others

    def are_majority(self, node_ids: Iterable[NodeId]) -> bool:
        """Whether these nodes together have more than half of all votes."""
        return 2 * sum(self.of.get(node_id, 0) for node_id in set(node_ids)) > self.expected > 0

    def majority_position(self, position_of: Mapping[NodeId, int]) -> int:
        """Return up to which position a majority has everything; -1 if no majority has anything."""
        holders: list[NodeId] = []
        for node_id in sorted(position_of, key=lambda node_id: -position_of[node_id]):
            holders.append(node_id)
            if self.are_majority(holders):
                return position_of[node_id]
        return -1
