"""Claims about who may apply what: members of the group, with quorum."""

from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.lineage import State
from tests.sim.node import Node


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
