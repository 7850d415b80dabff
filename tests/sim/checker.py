"""What a claim about the cluster looks like."""

from collections.abc import Collection, Sequence

from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Operation, UnlockRequest
from tests.sim.lineage import State
from tests.sim.node import Node, Request


class ViolationError(AssertionError):
    """A claim about the cluster is false."""

    def __init__(self, checker: "Checker", sentence: str) -> None:
        super().__init__(f"{type(checker).__name__}: {sentence}")
        self.checker = checker


class Checker:
    """A claim, and the moments at which it is checked. Most claims need few of them."""

    def on_begun(self, request: Request) -> None:
        """A local caller asked for something."""

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        """An operation changed the tree in memory."""

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        """A synchronisation replaced the tree in memory."""

    def on_asked_to_unlock(self, node: Node, request: UnlockRequest, *, is_granted: bool) -> None:
        """The process found a lock expired, or not; only the lowest member acts on it."""

    def on_committed(self, node: Node) -> None:
        """The process has come to rest after the database took changes."""

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        """A local caller is about to be told the result."""

    def on_published(self, node: Node, before: bytes | None, after: bytes) -> None:
        """The host's corosync.conf was replaced."""

    def on_shared(self, node: Node) -> None:
        """The process believes that others have, or will soon have, all that it has."""

    def on_configuration(self, node: Node) -> None:
        """The process read who is in the group with it, or lost the group."""

    def on_rest(self, node: Node) -> None:
        """The process has done all that followed from one step, and clients can read a new tree."""

    def on_time_passed(self, node: Node) -> None:
        """The process was told that time has gone by, and has done what follows."""

    def on_stopped(self, node: Node) -> None:
        """The process is about to be gone."""

    def on_wiped(self, node_id: NodeId) -> None:
        """The node lost its disk, and all that was on it."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        """Nothing is under way any more. ``rings`` has the running nodes that hear each other."""

    def refuse(self, sentence: str) -> None:
        """Say how the claim turned out to be false."""
        raise ViolationError(self, sentence)
