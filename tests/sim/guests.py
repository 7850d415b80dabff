"""The claim that no VM id is ever there twice."""

import re
from collections import Counter

from pmxcfs.memdb.operations import Operation
from tests.sim.checker import Checker
from tests.sim.lineage import State
from tests.sim.node import Node

_CONFIGURATION = re.compile(rb"nodes/[^/]+/(?:qemu-server|lxc|openvz)/(\d+)\.conf")


class GuestsUnique(Checker):
    """At every moment, on every node, a VM id has one configuration at most."""

    def on_applied(self, node: Node, operation: Operation, before: State, after: State) -> None:
        path = getattr(operation, "target", operation.path)
        if _CONFIGURATION.fullmatch(path):
            self._count(node)

    def on_replaced(self, node: Node, before: State, after: State) -> None:
        self._count(node)

    def _count(self, node: Node) -> None:
        tree = node.running.replica.memdb.tree
        paths = [tree.path_of(entry.inode) for entry in tree.entries() if not entry.is_directory]
        matches = [match for path in paths if (match := _CONFIGURATION.fullmatch(path))]
        count_of = Counter(match[1] for match in matches)
        twice = [match[0] for match in matches if count_of[match[1]] > 1]
        if twice:
            self.refuse(f"node {node.node_id} has one guest at {twice}")
