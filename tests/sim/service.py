"""Claims about those who wait."""

from collections.abc import Collection, Sequence

from pmxcfs.dfsm.modes import Mode
from tests.sim.checker import Checker
from tests.sim.node import Node


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


ANSWER_S_MAX = 30
"""A caller whose change has not come back by then is told that nobody knows its outcome."""


class AnsweredInTime(Checker):
    """Whatever the group, the disk or the others do, no caller waits for more than 30 s."""

    def on_time_passed(self, node: Node) -> None:
        for request in node.requests:
            if request.waited_s >= ANSWER_S_MAX:
                self.refuse(
                    f"on node {node.node_id} a caller waits for {request.operation} "
                    f"since {request.waited_s} s"
                )
