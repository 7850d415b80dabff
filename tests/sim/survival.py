"""The claim that nothing acknowledged is lost, and where the protocol itself ends it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pmxcfs.identity import Member, NodeId
from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.node import Node, Request


@dataclass(slots=True, eq=False)
class _Promise:
    """An acknowledged change: who went on with the writer, and who of them lacks it still."""

    request: Request
    state: State
    staying: set[Member]
    lacking: set[Member]


class AcknowledgedSurvives(Checker):
    """A change that was acknowledged is never lost once a majority went on with it.

    The promise is made when every member that stays with the writer has committed the change, if
    they are a majority. It is void if the writer leaves, or dies, before that.

    One loss is the protocol's own: after a split the longest history wins, whatever is in it. So a
    promise is dropped when it loses against a history that went another way; it is broken when a
    tree without it wins that is merely older, or when two promises exclude each other.
    """

    def __init__(self, lineage: Lineage, node_count: int) -> None:
        self._lineage = lineage
        self._node_count = node_count
        self._made_by: dict[tuple[NodeId, Operation], State] = {}
        self._pending: list[_Promise] = []
        self._given: list[_Promise] = []
        self.overruled_count = 0

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if any(request.operation == operation for request in node.requests):
            self._made_by[node.node_id, operation] = after

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        state = self._made_by.pop((node.node_id, request.operation), None)
        if result >= 0 and state is not None:
            members = set(node.running.replica.view)
            self._pending.append(_Promise(request, state, members, set(members)))
            self.on_committed(node)

    def on_committed(self, node: Node) -> None:
        me, state = node.running.member, node.state
        for promise in self._pending:
            if me in promise.lacking and self._lineage.includes(state, promise.state):
                promise.lacking.discard(me)
        self._give()

    def on_configuration(self, node: Node) -> None:
        members = set(node.running.replica.view)
        for promise in list(self._pending):
            if promise.request.node_id != node.node_id:
                continue
            promise.staying &= members
            promise.lacking &= members
            if not promise.staying:
                self._pending.remove(promise)
        self._give()

    def on_stopped(self, node: Node) -> None:
        self._pending = [
            promise for promise in self._pending if promise.request.node_id != node.node_id
        ]
        for key in [key for key in self._made_by if key[0] == node.node_id]:
            del self._made_by[key]

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        me = node.running.member
        for promise in self._pending:
            if me in promise.staying and not self._lineage.includes(after, promise.state):
                promise.lacking.add(me)
        for promise in list(self._given):
            if self._lineage.includes(before, promise.state):
                self._weigh(promise, before, after)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            healthy = [node for node in ring if not node.is_failed]
            if 2 * len(healthy) <= self._node_count:
                continue  # it may be quorate: corosync counts machines, not our processes
            for promise in self._given:
                if not self._lineage.includes(healthy[0].state, promise.state):
                    self._break(promise, f"the majority settled on {healthy[0].state}")

    def forget(self) -> None:
        """Start afresh, once all nodes are in one state."""
        self._pending.clear()
        self._given.clear()

    def _give(self) -> None:
        for promise in [promise for promise in self._pending if not promise.lacking]:
            self._pending.remove(promise)
            if 2 * len(promise.staying) > self._node_count:
                self._given.append(promise)

    def _weigh(self, promise: _Promise, before: State, after: State) -> None:
        """A node that had the promised change takes over a tree: does that have it as well?"""
        if self._lineage.includes(after, promise.state):
            return
        if self._lineage.includes(before, after):
            self._break(promise, f"the older {after} wins over {before}")
        for rival in self._given:
            if self._lineage.includes(after, rival.state) and not self._lineage.includes(
                before, rival.state
            ):
                self._break(promise, f"{rival.request.operation} was promised as well")
        self._given.remove(promise)
        self.overruled_count += 1

    def _break(self, promise: _Promise, reason: str) -> None:
        request = promise.request
        self.refuse(
            f"{request.operation}, acknowledged by node {request.node_id} as {promise.state}, "
            f"is lost: {reason}"
        )
