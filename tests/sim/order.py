"""Claims about the order in which changes are applied, and that each is applied once."""

from collections import Counter
from collections.abc import Collection, Sequence
from errno import EACCES

from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation, Write
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.node import Node, Request


class AppliedOnce(Checker):
    """No write is applied twice in the history of a tree, and none that was refused is applied.

    Writes are told apart by what they write, so one that was begun twice is not looked at.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._begun: Counter[Operation] = Counter()
        self._refused: set[Operation] = set()

    def on_begun(self, request: Request) -> None:
        self._begun[request.operation] += 1

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if not isinstance(operation, Write) or self._begun[operation] != 1:
            return
        if operation in self._refused:
            self.refuse(f"node {node.node_id} applies {operation}, which was refused")
        if self._lineage.has_been_applied(before, operation):
            self.refuse(f"node {node.node_id} applies {operation} again")

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        is_refused = result == -EACCES or request.was_withdrawn
        if is_refused and isinstance(request.operation, Write):
            self._refused.add(request.operation)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        """Forget what can no longer be on its way."""
        if len(rings) == 1:
            self._begun.clear()
            self._refused.clear()


class InOrder(Checker):
    """What one node was asked for is applied in the order in which it was asked, on every node.

    A member that is alone for a moment may go on with what is under way while it has sent again
    what came before. Each caller waits for its answer, so for any one of them the order holds.
    Writes are told apart by what they write.
    """

    def __init__(self) -> None:
        self._asked: dict[Operation, tuple[NodeId, int]] = {}
        self._applied: dict[NodeId, dict[NodeId, int]] = {}

    def on_begun(self, request: Request) -> None:
        if isinstance(request.operation, Write):
            self._asked[request.operation] = (request.node_id, len(self._asked))

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if operation not in self._asked:
            return
        sender, number = self._asked[operation]
        applied = self._applied.setdefault(node.node_id, {})
        if number < applied.get(sender, 0):
            self.refuse(f"node {node.node_id} applies {operation} after a later one of {sender}")
        if len(node.running.replica.view) > 1:
            applied[sender] = number

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        self._applied.pop(node.node_id, None)

    def on_stopped(self, node: Node) -> None:
        self._applied.pop(node.node_id, None)
