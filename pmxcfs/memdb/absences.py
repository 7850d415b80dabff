"""Which of our changes a member cannot have seen: a majority made them while it was away.

As long as at least half of the cluster is together with this node, nobody outside can have made
anything of its changes, since that takes a majority. If a node comes back then whose history is the
longer one, it wins, and what was changed since it went is content that it never saw.
"""

from collections.abc import Set as AbstractSet

from pmxcfs.identity import NodeId


class Absences:
    """Notes who is in sync with us, and at which version of our tree the others went."""

    def __init__(self) -> None:
        self._together: AbstractSet[NodeId] = frozenset()
        self._left_at: dict[NodeId, int] = {}
        self._began_at = 0

    def note_members(self, nodes: AbstractSet[NodeId], version: int, *, is_half: bool) -> None:
        """Note who is in the group from now on.

        Args:
            nodes: all members' nodes, ours among them.
            version: of our tree.
            is_half: whether they are at least half of the cluster. If not, who went may have told
                others what we have, and as a majority they may have changed it.
        """
        if not is_half:
            self.forget()
            return
        for node_id in self._together - nodes:
            self._left_at[node_id] = version
        self._together = self._together & nodes

    def note_agreement(self, nodes: AbstractSet[NodeId], version: int) -> None:
        """Note that these nodes, a majority, have the same tree as we, at ``version``."""
        if not self._together:
            self._began_at = version
        self._together = nodes

    def forget(self) -> None:
        """Note that we have lost the group, or too much of it: nothing is certain any more."""
        self._together = frozenset()
        self._left_at.clear()

    def unseen_since(self, node_id: NodeId) -> int | None:
        """Return the version of our first change that a node cannot have, None if not known."""
        if not self._together or node_id in self._together:
            return None
        return self._left_at.get(node_id, self._began_at) + 1
