"""Claims about cluster locks: the directories directly below ``priv/lock``.

A client makes the directory, works for a minute at most, and removes it. Others who find it there
ask to unlock it, which is done once it has been unchanged for more than two minutes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from errno import EEXIST

from pmxcfs.identity import NodeId
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.operations import Delete, Mkdir, Operation, Rename, Unlock, UnlockRequest
from tests.sim.checker import Checker
from tests.sim.lineage import Lineage, State
from tests.sim.node import Node, Request

HOLD_S_MAX = 60
"""How long the clients of the reference work while they hold a lock."""

LIFETIME_S = 120

_DIRECTORY = b"priv/lock"


@dataclass(frozen=True, slots=True)
class _Tenure:
    node_id: NodeId
    since_s: int
    state: State


class OneLockHolder(Checker):
    """In one history a lock has one holder at most.

    Who was told that it made the directory holds the lock for a minute, or until somebody removes
    the directory by name. Only then, or when it has expired, may another one be told the same.

    Two holders are possible across histories: who was acknowledged and cut off before others had
    the change has lost it (see ``AcknowledgedSurvives``). So it is the side that keeps a majority
    for which a lock excludes.
    """

    def __init__(self, lineage: Lineage, now_s: Callable[[], int]) -> None:
        self._lineage = lineage
        self._now_s = now_s
        self._made: dict[tuple[NodeId, bytes], State] = {}
        self._tenures: dict[bytes, list[_Tenure]] = {}
        self._removals: dict[bytes, set[State]] = {}

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        match operation:
            case Mkdir(path) if _is_lock(path):
                self._made[node.node_id, path] = after
            case Delete(path) | Rename(_, path) if _is_lock(path):
                self._removals.setdefault(path, set()).add(after)
            case Unlock(path):
                self._look_for_a_holder(path, after, f"node {node.node_id} releases the lock")

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        path = request.operation.path
        if result < 0 or not isinstance(request.operation, Mkdir) or not _is_lock(path):
            return
        state = self._made.get((node.node_id, path))
        if state is None:
            return  # answered without having been applied, which is another claim's business
        self._look_for_a_holder(path, state, f"node {node.node_id} is told that it made the lock")
        tenure = _Tenure(node.node_id, self._now_s(), state)
        self._tenures.setdefault(path, []).append(tenure)

    def forget(self, state: State) -> None:
        """Start afresh, once all nodes are in this state: holders hold in it, or have lost it."""
        self._made.clear()
        self._tenures = {path: list(self._standing(path)) for path in self._tenures}
        self._removals.clear()
        for path, tenures in self._tenures.items():
            self._tenures[path] = [
                replace(tenure, state=state)
                for tenure in tenures
                if self._lineage.includes(state, tenure.state)
            ]

    def _look_for_a_holder(self, path: bytes, state: State, event: str) -> None:
        for tenure in self._standing(path):
            if tenure.state != state and self._lineage.includes(state, tenure.state):
                age_s = self._now_s() - tenure.since_s
                self.refuse(f"{event} {path!r}, which node {tenure.node_id} holds since {age_s} s")

    def _standing(self, path: bytes) -> Iterator[_Tenure]:
        """Yield the tenures that nothing has ended yet."""
        for tenure in self._tenures.get(path, ()):
            is_over = self._now_s() - tenure.since_s >= HOLD_S_MAX or any(
                self._lineage.includes(removal, tenure.state)
                for removal in self._removals.get(path, ())
            )
            if not is_over:
                yield tenure


class LockAges(Checker):
    """A request to unlock is granted exactly if the lock was unchanged for more than two minutes.

    They count from when this process first had the lock as it is; neither a synchronisation nor a
    step of the machine's clock makes a difference.
    """

    def __init__(self, now_s: Callable[[], int]) -> None:
        self._now_s = now_s
        self._since_s: dict[NodeId, dict[bytes, int]] = {}

    def on_rest(self, node: Node) -> None:
        known = self._since_s.get(node.node_id, {})
        locks = node.locks()
        if locks or known:
            now_s = self._now_s()
            self._since_s[node.node_id] = {
                checksum: known.get(checksum, now_s) for checksum in locks
            }

    def on_asked_to_unlock(self, node: Node, request: UnlockRequest, *, is_granted: bool) -> None:
        entry = node.running.replica.memdb.tree.find(request.path)
        age_s = 0
        if entry is not None and entry_checksum(entry) == request.checksum:
            now_s = self._now_s()
            age_s = now_s - self._since_s.get(node.node_id, {}).get(request.checksum, now_s)
        if is_granted != (age_s > LIFETIME_S):
            verdict = "releases" if is_granted else "does not release"
            self.refuse(f"node {node.node_id} {verdict} {request.path!r}, unchanged for {age_s} s")

    def on_stopped(self, node: Node) -> None:
        self._since_s.pop(node.node_id, None)


class OwnLock(Checker):
    """Who makes a lock is never told that it was there because of its own request."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[NodeId, bytes]] = Counter()
        self._made: set[tuple[NodeId, bytes]] = set()

    def on_begun(self, request: Request) -> None:
        if isinstance(request.operation, Mkdir):
            self._asked[request.node_id, request.operation.path] += 1

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        if isinstance(operation, Mkdir):
            writer = NodeId(node.running.replica.memdb.tree.root.writer)
            self._made.add((writer, operation.path))

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        if result != -EEXIST or not isinstance(request.operation, Mkdir):
            return
        name = (node.node_id, request.operation.path)
        if self._asked[name] == 1 and name in self._made:
            self.refuse(f"node {node.node_id} meets its own {request.operation}")

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        """Forget what can no longer be on its way."""
        if len(rings) == 1:
            self._asked.clear()
            self._made.clear()


def _is_lock(path: bytes) -> bool:
    return path.rpartition(b"/")[0] == _DIRECTORY
