"""What must be true of every run, one object for each claim."""

from collections import Counter
from collections.abc import Collection, Sequence
from errno import EACCES

from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation, Write
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.losses import KeepsWhatItDrops
from tests.sim.node import Node, Request
from tests.sim.survival import AcknowledgedSurvives


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
        tree, rows = node.running.replica.memdb.tree, node.database.load()
        if list(tree.entries()) != list(rows.entries()):
            self.refuse(f"node {node.node_id} has {node.saved_state()} saved and {node.state} live")


class EqualAfterSettling(Checker):
    """When nothing is under way, nodes that hear each other have the same tree."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            states = {node.node_id: str(node.state) for node in ring if not node.is_failed}
            if len(set(states.values())) > 1:
                self.refuse(f"trees differ: {states}")


class EverybodyIsServed(Checker):
    """When nothing is under way, every node is in sync and no caller waits."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            for node in ring:
                self._look_at(node)

    def _look_at(self, node: Node) -> None:
        mode = node.running.replica.mode
        if mode is not Mode.SYNCED and not node.is_failed:
            self.refuse(f"node {node.node_id} is still in mode {mode.name}")
        if node.requests:
            self.refuse(f"on node {node.node_id} a caller waits for {node.requests[0].operation}")


class QuorateChanges(Checker):
    """A node without quorum applies nothing but what a synchronisation brings."""

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if not node.running.replica.is_told_quorate:
            self.refuse(f"node {node.node_id} applies {operation} without quorum")


class NothingAfterLeaving(Checker):
    """A node that has asked to leave the group applies nothing until it is back."""

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if not node.running.replica.is_listening:
            self.refuse(f"node {node.node_id} applies {operation} outside of the group")


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
        if result == -EACCES and isinstance(request.operation, Write):
            self._refused.add(request.operation)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        """Forget what can no longer be on its way."""
        if len(rings) == 1:
            self._begun.clear()
            self._refused.clear()


class Checkers(Checker):
    """All claims together, and the history that some of them need."""

    def __init__(self, node_count: int) -> None:
        self.lineage = Lineage()
        self.survival = AcknowledgedSurvives(self.lineage, node_count)
        self.losses = KeepsWhatItDrops(self.lineage)
        self.success_count = 0
        self._node_count = node_count
        self._claims: tuple[Checker, ...] = (
            CommitBeforeAnswer(),
            DatabaseEqualsTree(),
            EqualAfterSettling(),
            EverybodyIsServed(),
            QuorateChanges(),
            NothingAfterLeaving(),
            VersionsRise(),
            AppliedOnce(self.lineage),
            self.survival,
            self.losses,
        )

    def on_begun(self, request: Request) -> None:
        for claim in self._claims:
            claim.on_begun(request)

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        for claim in self._claims:
            claim.on_applied(node, operation, before, after)
        self.lineage.add(before, operation, after)

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        for claim in self._claims:
            claim.on_replaced(node, before, after)

    def on_committed(self, node: Node) -> None:
        for claim in self._claims:
            claim.on_committed(node)

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        for claim in self._claims:
            claim.on_answered(node, request, result)
        self.success_count += result >= 0

    def on_configuration(self, node: Node) -> None:
        for claim in self._claims:
            claim.on_configuration(node)

    def on_stopped(self, node: Node) -> None:
        for claim in self._claims:
            claim.on_stopped(node)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for claim in self._claims:
            claim.on_settled(rings)
        healthy = [node for ring in rings for node in ring if not node.is_failed]
        if len(rings) == 1 and len(healthy) == self._node_count:
            self.lineage.forget()
            self.survival.forget()
            self.losses.forget()
