"""A simulated cluster of which only the status matters: real status nodes over a simulated group.

What can happen in it is what can happen to the tree's group too, and what clients set and log.
"""

from collections.abc import Iterable
from itertools import count

from pmxcfs.dfsm.effects import Effect, LeaveGroup, Multicast
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Disconnected
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_node import StatusEvent, StatusNode
from tests.sim.cpg import KEEP_ALL, SimulatedCpg

BEGAN_S = 1_700_000_000


class StatusProcess:
    """One daemon's life on one node."""

    def __init__(self, node_id: NodeId, pid: Pid, info: ClusterInfo, now_s: int) -> None:
        self.me = Member(node_id, pid)
        self.node = StatusNode(
            ClusterStatus(f"node{node_id}", ip=f"10.0.0.{node_id}", first_uid=pid * 1000)
        )
        self.node.start_log(pid, now_s)
        self.node.status.learn_nodes(info)
        self.is_joined = False
        self.is_gone_for_good = False


class StatusWorld:
    """Nodes 1 to N with a corosync and a daemon each.

    Attributes:
        published: what each node's client has set last, while its daemon lives.
        logged: how many entries were logged.
    """

    def __init__(self, node_count: int = 3) -> None:
        self.cpg = SimulatedCpg()
        self.now_s = BEGAN_S
        self.node_ids = tuple(NodeId(number) for number in range(1, node_count + 1))
        self.processes: dict[NodeId, StatusProcess] = {}
        self.published: dict[NodeId, dict[bytes, bytes]] = {}
        self.logged = 0
        self._info = ClusterInfo(
            "sim", 1, tuple(ClusterNode(node_id, f"node{node_id}") for node_id in self.node_ids)
        )
        self._pids = count(1000)
        for node_id in self.node_ids:
            self.cpg.start_node(node_id)
        self.heal()
        for node_id in self.node_ids:
            self.restart(node_id)

    def publish(self, node_id: NodeId, key: bytes, value: bytes) -> None:
        """Let a client set a value, or remove it with an empty one."""
        process = self.processes[node_id]
        self._perform(process, process.node.publish(key, value, self.now_s))
        self.published[node_id][key] = value

    def log(self, node_id: NodeId, text: bytes) -> None:
        """Let a client log something."""
        process = self.processes[node_id]
        effects = process.node.log(
            priority=6, ident=b"root@pam", tag=b"t", text=text, pid=1, now_s=self.now_s
        )
        self.logged += 1
        self._perform(process, effects)

    def read(self, node_id: NodeId, at_most: int = 1) -> bool:
        """Let a daemon read of the group; return whether there was anything."""
        has_read = False
        for _ in range(at_most):
            process = self.processes.get(node_id)
            event = self.cpg.deliver(node_id) if process is not None else None
            if process is None or event is None:
                break
            has_read = True
            is_out = isinstance(event, ConfigurationChange) and process.me not in event.members
            process.is_joined &= not is_out
            self._feed(process, event)
            if is_out:
                self._feed(process, Disconnected())
        return has_read

    def partition(self, sides: Iterable[Iterable[NodeId]], keep: int = KEEP_ALL) -> None:
        """Form these rings, of the nodes whose corosync runs."""
        running = frozenset(self.cpg.nodes)
        rings = [frozenset(side) & running for side in sides]
        self.cpg.reform([ring for ring in rings if ring], keep)

    def heal(self, keep: int = KEEP_ALL) -> None:
        """Form one ring."""
        self.partition([self.node_ids], keep)

    def kill(self, node_id: NodeId) -> None:
        """Let a daemon die, and its part of the status with it."""
        process = self.processes.pop(node_id)
        if process.is_joined:
            self.cpg.kill(process.me)

    def restart(self, node_id: NodeId) -> None:
        """Start a daemon."""
        pid = Pid(next(self._pids))
        process = StatusProcess(node_id, pid, self._info, self.now_s)
        self.processes[node_id] = process
        self.published[node_id] = {}
        self._join(process)

    def crash(self, node_id: NodeId) -> None:
        """Let corosync die; the others notice, and the daemon has lost its group."""
        self.cpg.stop_node(node_id)
        rings = {self.cpg.ring_of(other) - {node_id} for other in self.cpg.nodes}
        self.cpg.reform([ring for ring in rings if ring])
        process = self.processes.get(node_id)
        if process is not None and process.is_joined:
            process.is_joined = False
            self._feed(process, Disconnected())

    def boot(self, node_id: NodeId) -> None:
        """Start corosync again."""
        self.cpg.start_node(node_id)

    def rejoin(self, node_id: NodeId) -> None:
        """Let a daemon leave the group, as it does after nonsense, and come back when it is out."""
        process = self.processes[node_id]
        if process.is_joined:
            self.cpg.leave(process.me)

    def tick(self, seconds: int) -> None:
        """Let time pass for everybody."""
        self.now_s += seconds

    def settle(self) -> None:
        """Let everything be whole and delivered."""
        for node_id in self.node_ids:
            if node_id not in self.cpg.nodes:
                self.boot(node_id)
            if node_id not in self.processes:
                self.restart(node_id)
        self.heal()
        is_busy = True
        while is_busy:
            is_busy = sum(self.read(node_id, KEEP_ALL) for node_id in self.node_ids) > 0
            for process in self.processes.values():
                if not process.is_joined and not process.is_gone_for_good:
                    self._join(process)
                    is_busy = True

    def _join(self, process: StatusProcess) -> None:
        if process.me.node_id not in self.cpg.nodes:
            return
        process.is_joined = True
        self._feed(process, Connected(process.me))
        self.cpg.join(process.me)

    def _feed(self, process: StatusProcess, event: StatusEvent) -> None:
        self._perform(process, process.node.step(event, self.now_s))

    def _perform(self, process: StatusProcess, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast(data):
                    self.cpg.multicast(process.me, data)
                case LeaveGroup(for_good):
                    process.is_gone_for_good |= for_good
                    if process.is_joined:
                        self.cpg.leave(process.me)
                case _:
                    pass  # metrics go to files, which are not here
