"""All claims together, what each of them hears, and the history that some of them need."""

from collections.abc import Callable, Collection, Sequence

from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation, UnlockRequest
from tests.sim.agreement import EqualAfterSettling, ReadsNeverGoBack, VersionsRise
from tests.sim.checker import Checker
from tests.sim.durability import CommitBeforeAnswer, DatabaseEqualsTree
from tests.sim.guests import GuestsUnique
from tests.sim.host_files import HostFileFollows
from tests.sim.lineage import Lineage, State
from tests.sim.locks import LockAges, OneLockHolder, OwnLock
from tests.sim.losses import KeepsWhatItDrops
from tests.sim.membership import NothingAfterLeaving, QuorateChanges
from tests.sim.node import Node, Request
from tests.sim.order import AppliedOnce, InOrder
from tests.sim.service import AnsweredInTime, EverybodyIsServed
from tests.sim.survival import AcknowledgedSurvives


class Checkers(Checker):
    """All claims together, or only some of them.

    Args:
        node_count: how many nodes there are.
        now_s: the true time, whatever the nodes' clocks say.
        only: the claims to check, if not all.
    """

    def __init__(
        self,
        node_count: int,
        now_s: Callable[[], int],
        only: Collection[type[Checker]] | None = None,
    ) -> None:
        self.lineage = Lineage()
        self.survival = AcknowledgedSurvives(self.lineage, node_count)
        self.losses = KeepsWhatItDrops(self.lineage, now_s)
        self.holders = OneLockHolder(self.lineage, now_s)
        self.success_count = 0
        self._node_count = node_count
        claims: tuple[Checker, ...] = (
            CommitBeforeAnswer(),
            DatabaseEqualsTree(),
            EqualAfterSettling(),
            EverybodyIsServed(),
            AnsweredInTime(),
            QuorateChanges(),
            NothingAfterLeaving(),
            VersionsRise(),
            ReadsNeverGoBack(self.lineage),
            AppliedOnce(self.lineage),
            InOrder(),
            GuestsUnique(),
            self.holders,
            LockAges(now_s),
            OwnLock(),
            HostFileFollows(),
            self.survival,
            self.losses,
        )
        self.claims = [claim for claim in claims if only is None or type(claim) in only]
        self._hearers: dict[str, list[Callable[..., None]]] = {}
        self.add()

    def add(self, *claims: Checker) -> None:
        """Check these claims too."""
        self.claims += claims
        self._hearers = {
            name: [getattr(claim, name) for claim in self.claims if name in vars(type(claim))]
            for name in vars(Checker)
            if name.startswith("on_")
        }

    def on_begun(self, request: Request) -> None:
        self._tell("on_begun", request)

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        self._tell("on_applied", node, operation, before, after)
        self.lineage.add(before, operation, after)

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        self._tell("on_replaced", node, before, after)

    def on_asked_to_unlock(self, node: Node, request: UnlockRequest, *, is_granted: bool) -> None:
        self._tell("on_asked_to_unlock", node, request, is_granted=is_granted)

    def on_committed(self, node: Node) -> None:
        self._tell("on_committed", node)

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        self._tell("on_answered", node, request, result)
        self.success_count += result >= 0

    def on_published(self, node: Node, before: bytes | None, after: bytes) -> None:
        self._tell("on_published", node, before, after)

    def on_shared(self, node: Node) -> None:
        self._tell("on_shared", node)

    def on_configuration(self, node: Node) -> None:
        self._tell("on_configuration", node)

    def on_rest(self, node: Node) -> None:
        if node.has_moved():
            self._tell("on_rest", node)

    def on_time_passed(self, node: Node) -> None:
        self._tell("on_time_passed", node)

    def on_stopped(self, node: Node) -> None:
        self._tell("on_stopped", node)

    def on_wiped(self, node_id: NodeId) -> None:
        self._tell("on_wiped", node_id)

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        self._tell("on_settled", rings)
        healthy = [node for ring in rings for node in ring if not node.is_failed]
        if len(rings) == 1 and len(healthy) == self._node_count:
            self.holders.forget(healthy[0].state)
            self.survival.forget()
            self.losses.forget()
            self.lineage.forget()

    def _tell(self, moment: str, *facts: object, **named_facts: object) -> None:
        for hear in self._hearers[moment]:
            hear(*facts, **named_facts)
