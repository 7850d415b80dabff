"""What a claim about the cluster looks like."""

from collections.abc import Collection, Sequence

from pmxcfs.memdb.operations import Operation
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

    def on_committed(self, node: Node) -> None:
        """The process has come to rest after the database took changes."""

    def on_answered(self, node: Node, request: Request, result: int) -> None:
        """A local caller is about to be told the result."""

    def on_configuration(self, node: Node) -> None:
        """The process read who is in the group with it, or lost the group."""

    def on_stopped(self, node: Node) -> None:
        """The process is about to be gone."""

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        """Nothing is under way any more. ``rings`` has the running nodes that hear each other."""

    def refuse(self, sentence: str) -> None:
        """Say how the claim turned out to be false."""
        raise ViolationError(self, sentence)
