"""A simulated cluster whose disks lose what was not synced, and in which callers fsync.

To ``tests.sim.vocabulary`` it adds:

    fsync 1             a caller on node 1
    disk-works 2        node 2 begins a sync of its disk that is wanted, or ends it
    answers 2 [3]       node 2 reads one event of the durability group, or three
    power-cut 1 [0]     node 1 loses power and all it did not sync, or all but so many commits
    gives-up 1          a caller on node 1 waits no more
"""

from pmxcfs.identity import NodeId
from tests.sim.agreement import EqualAfterSettling
from tests.sim.cpg import KEEP_ALL, SimulatedCpg
from tests.sim.durability import DatabaseEqualsTree
from tests.sim.durable_node import DurableNode, Fsync
from tests.sim.fsynced import FsyncedSurvives, SameHistory
from tests.sim.service import EverybodyIsServed
from tests.sim.vocabulary import perform
from tests.sim.world import World

SURE_CLAIMS = (DatabaseEqualsTree, EqualAfterSettling, EverybodyIsServed)
"""Of the claims for disks that lose nothing, those that hold for others too."""


class DurableWorld(World):
    """A world with a durability group beside the tree's, over the same rings.

    Attributes:
        fsynced: the claim this world is for.
    """

    def __init__(self, node_count: int = 3) -> None:
        self.durable_cpg = SimulatedCpg()
        super().__init__(node_count, SURE_CLAIMS)
        self.fsynced = FsyncedSurvives(self.checkers.lineage, lambda: self.nodes, node_count)
        self.checkers.add(self.fsynced, SameHistory())

    def fsync(self, node_id: NodeId) -> None:
        """Let a caller fsync."""
        self._let(node_id, lambda node: self.durable(node_id).fsync())

    def give_up_fsync(self, node_id: NodeId) -> None:
        """Let a caller wait no more."""
        self._let(node_id, lambda node: self.durable(node_id).give_up_fsync())

    def work_disk(self, node_id: NodeId) -> None:
        """Let a node's disk get on with a sync."""
        if self.durable(node_id).has_disk_work:
            self._let(node_id, lambda node: self.durable(node_id).work_disk())

    def read_durable(self, node_id: NodeId, count: int = 1) -> None:
        """Let a node read of the durability group."""
        self._let(node_id, lambda node: self.durable(node_id).read_durable(count))

    def cut_power(self, node_id: NodeId, keep: int = 0) -> None:
        """Lose a machine's power, and what it did not sync but for ``keep`` commits."""
        self.crash(node_id)
        self.durable(node_id).lose_unsynced(keep)

    def durable(self, node_id: NodeId) -> DurableNode:
        """Return a node for what only this world knows of it."""
        node = self.nodes[node_id]
        assert isinstance(node, DurableNode)
        return node

    def _form_rings(self, keep: int) -> None:
        super()._form_rings(keep)
        cpg, running = self.durable_cpg, frozenset(self.cpg.nodes)
        for node_id in frozenset(cpg.nodes) - running:
            cpg.stop_node(node_id)
        for node_id in running - frozenset(cpg.nodes):
            cpg.start_node(node_id)
        wanted = [side & running for side in self.sides if side & running]
        cpg.reform(
            [ring for ring in wanted if any(cpg.ring_of(node_id) != ring for node_id in ring)], keep
        )

    def _settle_node(self, node_id: NodeId) -> bool:
        is_busy = super()._settle_node(node_id)
        node = self.durable(node_id)
        while node.process and (node.has_unread_durable() or node.has_disk_work):
            self.read_durable(node_id, KEEP_ALL)
            self.work_disk(node_id)
            is_busy = True
        if node.process and node.fsyncs and not is_busy and self._has_healthy_majority(node_id):
            self._let(node_id, lambda node: self.durable(node_id).ask_again())
            is_busy = True
        return is_busy

    def _has_healthy_majority(self, node_id: NodeId) -> bool:
        """Whether a node hears a majority of which none has given up, nor has it itself."""
        ring = [self.nodes[other] for other in self.cpg.ring_of(node_id)]
        healthy = [node for node in ring if node.process and not node.is_failed]
        return self.nodes[node_id] in healthy and 2 * len(healthy) > len(self.nodes)

    def _new_node(self, node_id: NodeId) -> DurableNode:
        return DurableNode(
            node_id,
            self.cpg,
            self.durable_cpg,
            lambda: self.now_s + self._skew_s[node_id],
            self.checkers,
            self,
        )

    def on_fsync(self, fsync: Fsync) -> None:
        """Tell the claim that a caller is told of a success."""
        self.fsynced.on_fsync(fsync)


def perform_durable(world: DurableWorld, line: str) -> None:
    """Let happen what a line says, as ``vocabulary.perform`` does."""
    verb, *words = line.split()
    act = {
        "fsync": world.fsync,
        "disk-works": world.work_disk,
        "answers": world.read_durable,
        "power-cut": world.cut_power,
        "gives-up": world.give_up_fsync,
    }.get(verb)
    if act is None:
        perform(world, line)
    else:
        act(NodeId(int(words[0])), *map(int, words[1:]))
