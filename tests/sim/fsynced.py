"""The claim that what fsync acknowledged survives the loss of any minority, and of all power."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pmxcfs.durable.promise import Promise
from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.durable_node import DurableNode, Fsync
from tests.sim.lineage import Lineage, State
from tests.sim.losses import lost_entries
from tests.sim.node import Node


@dataclass(slots=True, eq=False)
class _Promise:
    """What was acknowledged, and the nodes that had it and were overruled."""

    fsync: Fsync
    overruled: set[NodeId] = field(default_factory=set)
    has_content: bool = False
    is_kept: bool = False


class FsyncedSurvives(Checker):
    """What fsync acknowledged is on the synced disks of a majority, and in every later tree.

    One loss is the protocol's own: in a synchronisation the longest history wins, whatever is in
    it. A node that was cut off with more messages of its own under way than the others made changes
    since has the longer one. So a promise is dropped when it loses against a history that went
    another way; it is broken when a tree without it wins that is merely older. If content went
    with it that the winner never saw, somebody keeps a copy: whoever made it with a majority and
    was with at least half of the cluster ever since, so that no others can have changed it.
    """

    def __init__(
        self, lineage: Lineage, nodes: Callable[[], Mapping[NodeId, Node]], node_count: int
    ) -> None:
        self._lineage = lineage
        self._nodes = nodes
        self._node_count = node_count
        self._given: list[_Promise] = []
        self._overruled: list[tuple[NodeId, State]] = []
        self._lost: list[_Promise] = []
        self._losing: dict[NodeId, tuple[int, list[_Promise]]] = {}
        self._witnessed: dict[NodeId, set[State]] = {}
        self.granted_count = self.overruled_count = 0

    def on_fsync(self, fsync: Fsync) -> None:
        """A caller is told that its fsync succeeded."""
        if fsync.promise is not Promise.MAJORITY:
            return
        promise = _Promise(fsync)
        for node_id, state in self._overruled:
            if self._lineage.includes(state, fsync.state):
                promise.overruled.add(node_id)
        holders = {
            node_id
            for node_id, node in self._nodes().items()
            if isinstance(node, DurableNode)
            and self._lineage.includes(node.synced_state, fsync.state)
        }
        if 2 * len(holders | promise.overruled) <= self._node_count:
            self.refuse(
                f"node {fsync.node_id} acknowledges an fsync of {fsync.state}, which no power cut "
                f"takes from nodes {sorted(holders)} only"
            )
        self.granted_count += 1
        self._given.append(promise)

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if 2 * self._present_with(node) > self._node_count:
            self._witnessed.setdefault(node.node_id, set()).add(after)

    def on_configuration(self, node: Node) -> None:
        if 2 * self._present_with(node) < self._node_count:
            self._witnessed.pop(node.node_id, None)

    def _present_with(self, node: Node) -> int:
        return len({member.node_id for member in node.running.replica.view})

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        if not self._lineage.includes(before, after) and not self._lineage.includes(after, before):
            self._overruled.append((node.node_id, before))
        for promise in list(self._given):
            if not self._is_dropped(promise, before, after):
                continue
            if self._lineage.includes(before, after):
                self._break(promise, f"the older {after} wins over {before}")
            self._given.remove(promise)
            self._lost.append(promise)
            self.overruled_count += 1
        self._note_losing(node, before, after)

    def _is_dropped(self, promise: _Promise, before: State, after: State) -> bool:
        state = promise.fsync.state
        return self._lineage.includes(before, state) and not self._lineage.includes(after, state)

    def _note_losing(self, node: Node, before: State, after: State) -> None:
        lost = [promise for promise in self._lost if self._is_dropped(promise, before, after)]
        self._losing[node.node_id] = node.kept, lost
        assert node.dropped is not None
        entries = lost_entries(node.dropped, node.running.replica.memdb.tree)
        for promise in lost:
            promise.has_content |= any(
                self._is_unseen(node.node_id, entry.version, before, after)
                for entry in entries
                if entry.version <= promise.fsync.state.version
            )

    def _is_unseen(self, node_id: NodeId, version: int, before: State, after: State) -> bool:
        """Whether a node knows of a change that those with the state ``after`` never saw."""
        made = self._lineage.ancestor(before, version)
        is_witness = made in self._witnessed.get(node_id, ())
        return made is not None and is_witness and not self._lineage.includes(after, made)

    def on_committed(self, node: Node) -> None:
        kept, lost = self._losing.pop(node.node_id, (node.kept, []))
        for promise in lost:
            promise.is_kept |= node.kept > kept

    def on_stopped(self, node: Node) -> None:
        self._losing.pop(node.node_id, None)
        self._witnessed.pop(node.node_id, None)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            healthy = [node for node in ring if not node.is_failed]
            if 2 * len(healthy) <= self._node_count:
                continue
            for promise in self._given:
                if not self._lineage.includes(healthy[0].state, promise.fsync.state):
                    self._break(promise, f"the majority settled on {healthy[0].state}")
            for node in healthy:
                if isinstance(node, DurableNode) and node.fsyncs:
                    self.refuse(f"on node {node.node_id} an fsync waits for ever")
            if len(healthy) == self._node_count:
                self._given.clear()
                self._overruled.clear()
                for promise in self._lost:
                    if promise.has_content and not promise.is_kept:
                        self.refuse(f"{promise.fsync.state} is dropped, and nobody keeps a copy")
                self._lost.clear()

    def _break(self, promise: _Promise, reason: str) -> None:
        fsync = promise.fsync
        self.refuse(f"{fsync.state}, fsynced by node {fsync.node_id}, is lost: {reason}")


class SameHistory(Checker):
    """When nothing is under way, nodes that hear each other are at one point of one history."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            points = {
                node.node_id: node.running.replica.history.point
                for node in ring
                if not node.is_failed
            }
            if len(set(points.values())) > 1:
                self.refuse(f"histories differ: {points}")
