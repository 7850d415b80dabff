"""Claims about what is on the disk, and when."""

from collections import Counter
from collections.abc import Collection, Sequence

from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.lineage import State
from tests.sim.node import Node, Request


class CommitBeforeAnswer(Checker):
    """Who is told of a success finds it in the database, even if the node dies right then."""

    def __init__(self) -> None:
        self._applied: Counter[tuple[NodeId, Operation]] = Counter()

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        self._applied[node.node_id, operation] += 1

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        if result < 0:
            return
        if not self._applied[node.node_id, request.operation]:
            self.refuse(f"node {node.node_id} answers {request.operation}, not applied yet")
        self._applied[node.node_id, request.operation] -= 1
        if node.saved_state() != node.state:
            self.refuse(
                f"node {node.node_id} answers {request.operation} with its tree at {node.state} "
                f"and its database at {node.saved_state()}"
            )

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        self._applied.clear()


class DatabaseEqualsTree(Checker):
    """The database has what the tree has."""

    def on_committed(self, node: Node) -> None:
        self._compare(node)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            for node in ring:
                self._compare(node)

    def _compare(self, node: Node) -> None:
        tree, rows = node.running.replica.memdb.tree, node.saved()
        if list(tree.entries()) != list(rows.entries()):
            self.refuse(f"node {node.node_id} has {node.saved_state()} saved and {node.state} live")
