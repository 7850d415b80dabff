"""A cluster of simulated nodes, and all that can happen to it."""

import math
from collections.abc import Callable, Collection, Sequence

from pmxcfs.dcdb import DiskState
from pmxcfs.identity import NodeId
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.waits.grace import QUORUM_WAIT_S_MAX
from tests.sim.checker import Checker, ViolationError
from tests.sim.checkers import Checkers
from tests.sim.cpg import KEEP_ALL, SimulatedCpg
from tests.sim.node import CrashPoint, DiskFault, Node, ProcessDied, Request

FIRST_MOMENT_S = 1_700_000_000
SETTLING_ROUNDS_MAX = 100


class World:
    """Nodes 1 to ``node_count``, their network and their clocks.

    Each method is one thing that happens, and is over when it returns. A process that dies at a
    crash point dies within the method that led it there. What is to happen to a process that does
    not run does not happen.
    """

    def __init__(self, node_count: int = 3, only: Collection[type[Checker]] | None = None) -> None:
        self.now_s = FIRST_MOMENT_S
        self.cpg = SimulatedCpg()
        self.checkers = Checkers(node_count, lambda: self.now_s, only)
        self.last_request: dict[NodeId, Request] = {}
        ids = [NodeId(number) for number in range(1, node_count + 1)]
        self._skew_s = dict.fromkeys(ids, 0)
        self.sides: list[frozenset[NodeId]] = [frozenset(ids)]
        self.nodes = {node_id: self._new_node(node_id) for node_id in ids}
        for node_id in ids:
            self.restart(node_id)
        self.settle()

    # What happens to nodes and to their network.

    def deliver(self, node_id: NodeId, count: int = 1) -> None:
        """Let a node read up to ``count`` of the group's events in one batch."""
        self._let(node_id, lambda node: node.read(count))

    def tell_quorum(self, node_id: NodeId, is_quorate: bool) -> None:
        """Let a node hear of quorum, true or not; ``settle`` tells everybody the truth."""
        self._let(node_id, lambda node: node.tell_quorum(is_quorate))

    def rejoin(self, node_id: NodeId) -> None:
        """Let a process that left the group, or lost it, join again."""
        if self.may_rejoin(node_id):
            self._let(node_id, lambda node: node.join())

    def partition(self, sides: Sequence[Collection[NodeId]], keep: int = KEEP_ALL) -> None:
        """Split the network, or mend it; every node is on one side."""
        assert sorted(node for side in sides for node in side) == sorted(self.nodes), sides
        self.sides = [frozenset(side) for side in sides if side]
        self._form_rings(keep)

    def isolate(self, node_id: NodeId, keep: int = KEEP_ALL) -> None:
        """Cut one node off."""
        self.partition([*(side - {node_id} for side in self.sides), {node_id}], keep)

    def heal(self, keep: int = KEEP_ALL) -> None:
        """Let all nodes hear each other."""
        self.partition([self.nodes.keys()], keep)

    def kill(self, node_id: NodeId) -> None:
        """Kill the process; the machine and its corosync go on."""
        node = self.nodes[node_id]
        if node.process is not None:
            self.cpg.kill(node.process.member)
            node.stop()

    def crash(self, node_id: NodeId, keep: int = KEEP_ALL) -> None:
        """Lose the machine's power; its disk has what was committed."""
        if self.nodes[node_id].process is not None:
            self.nodes[node_id].stop()
        self._stop_corosync(node_id, keep)

    def restart(self, node_id: NodeId, keep: int = KEEP_ALL) -> None:
        """Start the machine if it is off, and the process, under a new pid."""
        self.reconnect(node_id, keep)
        if self.nodes[node_id].process is None:
            self.nodes[node_id].start()
            self._let(node_id, lambda node: node.learn_names(self.nodes))
            self._let(node_id, lambda node: node.running.driver.publish_corosync_conf())
            self._let(node_id, lambda node: node.join())

    def disconnect(self, node_id: NodeId, keep: int = KEEP_ALL) -> None:
        """Let a node's corosync die under its process."""
        self._stop_corosync(node_id, keep)
        self._let(node_id, lambda node: node.lose_group())

    def reconnect(self, node_id: NodeId, keep: int = KEEP_ALL) -> None:
        """Start a node's corosync again; the process has to join by itself."""
        if node_id not in self.cpg.nodes:
            self.cpg.start_node(node_id)
            self._form_rings(keep)

    def doom(self, node_id: NodeId, point: CrashPoint) -> None:
        """Let the process die as soon as it comes to this point."""
        self.nodes[node_id].crash_point = point

    def announce_again(self, node_id: NodeId) -> None:
        """Let everybody be told once more that a node's process has joined."""
        process = self.nodes[node_id].process
        if process is not None and process.is_joined:
            self.cpg.announce_again(process.member)

    def be_busy(self, node_id: NodeId) -> None:
        """Let a node's corosync be too busy to take messages, until it is free or all settles."""
        self.cpg.set_busy(node_id, is_busy=True)

    def be_free(self, node_id: NodeId) -> None:
        """Let a node's corosync take messages again, and those that have waited."""
        self.cpg.set_busy(node_id, is_busy=False)

    def refuse_sends(self, node_id: NodeId, how_many: int) -> None:
        """Let the group refuse the next multicasts of a node."""
        self.nodes[node_id].refused_sends = how_many

    def set_disk(self, node_id: NodeId, fault: DiskFault | None) -> None:
        """Let a node's disk be busy, or broken, or well again; ``settle`` makes it well."""
        self.nodes[node_id].disk_fault = fault

    def retry_disk(self, node_id: NodeId) -> None:
        """Let a daemon try a disk again that took nothing."""
        self._let(node_id, Node.retry_disk)

    def lose_patience(self, node_id: NodeId) -> None:
        """Let a daemon stop waiting for its disk."""
        self._let(node_id, Node.lose_patience)

    def wipe(self, node_id: NodeId) -> None:
        """Lose the disk of a node whose process does not run."""
        assert self.nodes[node_id].process is None, f"node {node_id} runs"
        self.nodes[node_id] = self._new_node(node_id)
        self.checkers.on_wiped(node_id)

    def verify(self, node_id: NodeId) -> None:
        """Let a node's hourly timer fire."""
        self._let(node_id, Node.verify)

    def tick(self, seconds: int) -> None:
        """Let time go by on all nodes."""
        self.now_s += seconds
        for node_id in self.nodes:
            self._pass_time(node_id, seconds)

    def skew(self, node_id: NodeId, seconds: int) -> None:
        """Set how far a node's clock is ahead of the others'."""
        self._skew_s[node_id] = seconds

    # What callers on a node ask for. Paths are absolute, as seen in the mount.

    def write(self, node_id: NodeId, path: str, text: str) -> None:
        """Replace a file's content; make the file first if this node does not have it.

        A semicolon stands for the end of a line.
        """
        name, data = _relative(path), text.replace(";", "\n").encode()
        process = self.nodes[node_id].process
        if process is not None and process.replica.memdb.tree.find(name) is None:
            self.ask(node_id, Create(name))
        self.ask(node_id, Write(name, 0, data, truncate=True))

    def mkdir(self, node_id: NodeId, path: str) -> None:
        """Make a directory."""
        self.ask(node_id, Mkdir(_relative(path)))

    def delete(self, node_id: NodeId, path: str) -> None:
        """Remove a file or an empty directory."""
        self.ask(node_id, Delete(_relative(path)))

    def rename(self, node_id: NodeId, path: str, target: str) -> None:
        """Move a file or an empty directory."""
        self.ask(node_id, Rename(_relative(path), _relative(target)))

    def touch(self, node_id: NodeId, path: str, mtime: int) -> None:
        """Set a modification time; 0 on a lock asks for its release."""
        self.ask(node_id, SetMtime(_relative(path), mtime))

    def ask(self, node_id: NodeId, operation: Operation) -> None:
        """Start an operation on a node."""
        request = Request(node_id, operation)
        if self.nodes[node_id].process is not None:
            self.last_request[node_id] = request
            self.checkers.on_begun(request)
            self._let(node_id, lambda node: node.begin(request))

    # What there is to see.

    def rings(self) -> list[list[Node]]:
        """The nodes that run and have a corosync, by who hears whom."""
        by_ring: dict[frozenset[NodeId], list[Node]] = {}
        for node_id in self.cpg.nodes:
            if self.nodes[node_id].process is not None:
                ring = by_ring.setdefault(self.cpg.ring_of(node_id), [])
                ring.append(self.nodes[node_id])
        return list(by_ring.values())

    def is_quorate(self, node_id: NodeId) -> bool:
        """The truth about a node's quorum, whatever it was told."""
        return 2 * len(self.cpg.ring_of(node_id)) > len(self.nodes)

    def may_rejoin(self, node_id: NodeId) -> bool:
        """Whether a process is out of the group and may come back."""
        process = self.nodes[node_id].process
        if process is None or process.is_joined or process.is_gone_for_good:
            return False
        return node_id in self.cpg.nodes and process.replica.disk is not DiskState.REFUSING

    def text(self, node_id: NodeId, path: str) -> str | None:
        """Return a file's content on a node, None if there is no such file."""
        entry = self.nodes[node_id].running.replica.memdb.tree.find(_relative(path))
        return None if entry is None else entry.data.decode().replace("\n", ";")

    # Letting everything come to rest.

    def settle(self) -> None:
        """Deliver all that is under way, tell everybody the truth, then check all claims."""
        for _ in range(SETTLING_ROUNDS_MAX):
            busy = [node_id for node_id in self.nodes if self._settle_node(node_id)]
            if not busy:
                break
        else:
            raise ViolationError(self.checkers, f"no rest on nodes {busy}")
        self.checkers.on_settled(self.rings())

    def _settle_node(self, node_id: NodeId) -> bool:
        """Do what is due on a node; return whether there was anything."""
        node = self.nodes[node_id]
        is_busy = self.cpg.is_busy(node_id)
        self.be_free(node_id)
        if node.disk_fault:
            self.set_disk(node_id, None)
            is_busy = True
        if node.process and node.is_in_trouble():
            self.retry_disk(node_id)
            is_busy = True
        if node.process and node.process.quorum_news != self.is_quorate(node_id):
            self.tell_quorum(node_id, self.is_quorate(node_id))
            is_busy = True
        if self.may_rejoin(node_id):
            self.rejoin(node_id)
            is_busy = True
        while node.process and node.has_unread():
            self.deliver(node_id)
            is_busy = True
        if node.process and node.process.replica.put_off:
            self.tick(math.ceil(QUORUM_WAIT_S_MAX))
            is_busy = True
        return is_busy

    def _pass_time(self, node_id: NodeId, seconds: int) -> None:
        self._let(node_id, lambda node: node.pass_time(seconds))
        if self.nodes[node_id].process is not None:
            self.checkers.on_time_passed(self.nodes[node_id])

    def _new_node(self, node_id: NodeId) -> Node:
        return Node(
            node_id,
            self.cpg,
            lambda: self.now_s + self._skew_s[node_id],
            self.checkers,
            lambda: self.now_s,
        )

    def _stop_corosync(self, node_id: NodeId, keep: int) -> None:
        if node_id in self.cpg.nodes:
            self.cpg.stop_node(node_id)
            self._form_rings(keep)

    def _form_rings(self, keep: int) -> None:
        running = frozenset(self.cpg.nodes)
        wanted = [side & running for side in self.sides if side & running]
        changed = [
            ring for ring in wanted if any(self.cpg.ring_of(node_id) != ring for node_id in ring)
        ]
        self.cpg.reform(changed, keep)

    def _let(self, node_id: NodeId, act: Callable[[Node], object]) -> None:
        """Let a running process act, perhaps to its death."""
        if self.nodes[node_id].process is None:
            return
        try:
            act(self.nodes[node_id])
        except ProcessDied:
            self.kill(node_id)
        else:
            self.nodes[node_id].report()
            self.checkers.on_rest(self.nodes[node_id])


def _relative(path: str) -> bytes:
    assert path.startswith("/"), f"{path} is not absolute"
    return path[1:].encode()
