"""Claims about the trees: that they are equal, and go forward only."""

from collections.abc import Collection, Sequence

from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.node import Node


class EqualAfterSettling(Checker):
    """When nothing is under way, nodes that hear each other have the same tree."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            states = {node.node_id: str(node.state) for node in ring if not node.is_failed}
            if len(set(states.values())) > 1:
                self.refuse(f"trees differ: {states}")


class VersionsRise(Checker):
    """Each operation raises the tree's version by one; only a synchronisation may lower it."""

    def __init__(self) -> None:
        self._saved: dict[NodeId, int] = {}

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if after.version != before.version + 1:
            self.refuse(f"node {node.node_id}: {operation} leads from {before} to {after}")

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        self._saved.pop(node.node_id, None)

    def on_committed(self, node: Node) -> None:
        version = node.state.version
        if version < self._saved.get(node.node_id, 0):
            self.refuse(f"node {node.node_id} falls back to version {version}")
        self._saved[node.node_id] = version


class ReadsNeverGoBack(Checker):
    """What a client of one node has seen it never sees undone, unless another history won.

    A client reads between two steps of its node, also across a restart of the daemon. The longest
    history wins, so not even a synchronisation takes it to a lower version.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._seen: dict[NodeId, State] = {}
        self._has_changed_history: set[NodeId] = set()

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        self._has_changed_history.add(node.node_id)

    def on_rest(self, node: Node) -> None:
        node_id, state = node.node_id, node.state
        seen = self._seen.get(node_id)
        self._seen[node_id] = state
        if seen is None or seen == state:
            return
        if state.version < seen.version:
            self.refuse(f"node {node_id} shows {state} after {seen}")
        if node_id in self._has_changed_history:
            self._has_changed_history.remove(node_id)
        elif not self._lineage.includes(state, seen):
            self.refuse(f"node {node_id} shows {state}, which did not come from {seen}")

    def on_wiped(self, node_id: NodeId) -> None:
        self._seen.pop(node_id, None)
