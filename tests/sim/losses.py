"""The claim that a synchronisation drops nothing that was only here without keeping it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pmxcfs.identity import Member, NodeId
from pmxcfs.memdb.entry import ROOT_INODE, Entry
from pmxcfs.memdb.operations import Operation
from pmxcfs.memdb.paths import is_lock_path
from pmxcfs.memdb.tree import Tree
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.node import Node

DOUBT_S = 10
"""What others were about to take over for longer than that, they have."""


@dataclass(slots=True)
class _Replacement:
    """A tree that was replaced, and how many had been kept before that."""

    before: State
    after: State
    is_stale: bool
    is_marked: bool
    lost: list[Entry]
    kept: int


class KeepsWhatItDrops(Checker):
    """Who merely missed changes keeps nothing; who made changes alone keeps them.

    A change counts as made alone if nobody else was in the group when it was applied, until
    somebody takes it over, or was about to for some seconds, or for less if the node then dies too.
    Others can be lost in a split too, with their senders: those that were under way when it came.
    They are rare, and counted in ``unkept_count``.
    """

    def __init__(self, lineage: Lineage, now_s: Callable[[], int]) -> None:
        self._lineage = lineage
        self._now_s = now_s
        self._alone: dict[NodeId, set[State]] = {}
        self._shared: dict[NodeId, tuple[int, set[State]]] = {}
        self._present: dict[NodeId, set[Member]] = {}
        self._pending: dict[NodeId, _Replacement] = {}
        self.kept_count = 0
        self.unkept_count = 0

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if {member.node_id for member in node.running.replica.view} == {node.node_id}:
            self._alone.setdefault(node.node_id, set()).add(after)

    def on_shared(self, node: Node) -> None:
        alone = set(self._alone.get(node.node_id, ()))
        self._shared[node.node_id] = (self._now_s(), alone)

    def on_configuration(self, node: Node) -> None:
        members = set(node.running.replica.view)
        if self._present.get(node.node_id, set()) - members:
            self._settle_shares(node.node_id, doubt_s=DOUBT_S)
            self._shared.pop(node.node_id, None)
        self._present[node.node_id] = members

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        assert node.dropped is not None
        for states in self._alone.values():
            states -= {state for state in states if self._lineage.includes(after, state)}
        self._pending[node.node_id] = _Replacement(
            before,
            after,
            is_stale=self._lineage.includes(after, before),
            is_marked=node.unshared_since is not None,
            lost=lost_entries(node.dropped, node.running.replica.memdb.tree),
            kept=node.kept,
        )

    def on_committed(self, node: Node) -> None:
        self._settle_shares(node.node_id, doubt_s=DOUBT_S)
        seen = self._pending.pop(node.node_id, None)
        if seen is None or node.state != seen.after:
            return
        has_kept = node.kept > seen.kept
        if has_kept and seen.is_stale and not seen.is_marked:
            self.refuse(f"node {node.node_id} keeps {seen.before}, which {seen.after} came from")
        if not has_kept and not seen.is_stale and seen.lost:
            self.unkept_count += 1
            own = self._own_since(node.node_id, seen.before)
            names = [entry.name for entry in seen.lost if own and entry.version >= own]
            if names:
                self.refuse(f"node {node.node_id} drops {names}, only its own, without a trace")
        self.kept_count += has_kept

    def _own_since(self, node_id: NodeId, state: State) -> int:
        """Return the version of the first change in a tree that was made alone, 0 if none was."""
        alone = self._alone.get(node_id, ())
        versions = [made.version for made in alone if self._lineage.includes(state, made)]
        return min(versions, default=0)

    def on_stopped(self, node: Node) -> None:
        self._settle_shares(node.node_id, doubt_s=-1)
        memories: tuple[dict[NodeId, Any], ...] = (self._pending, self._shared, self._present)
        for memory in memories:
            memory.pop(node.node_id, None)

    def _settle_shares(self, node_id: NodeId, doubt_s: int) -> None:
        """Believe that others have what they were about to have for longer than this."""
        since_s, states = self._shared.get(node_id, (0, set()))
        if self._now_s() - since_s > doubt_s:
            self._alone.get(node_id, set()).difference_update(states)

    def forget(self) -> None:
        """Start afresh, once all nodes are in one state."""
        self._alone.clear()
        self._shared.clear()


def lost_entries(ours: Tree, theirs: Tree) -> list[Entry]:
    """Return our entries whose content theirs has neither there nor under the same number."""
    lost = []
    for entry in ours.entries():
        path = ours.path_of(entry.inode)
        if entry.inode != ROOT_INODE and not (
            is_lock_path(path)
            or _same(theirs.find(path), entry)
            or _same(theirs.get(entry.inode), entry)
        ):
            lost.append(entry)
    return lost


def _same(other: Entry | None, entry: Entry) -> bool:
    return other is not None and (other.type, other.data) == (entry.type, entry.data)
