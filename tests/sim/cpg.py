"""A closed process group without a network: rings are ordered logs, members have cursors.

The rules are those of corosync. A ring has one ordered log; every member reads it at its own pace.
A multicast takes its place in the log at once, unless corosync is too busy (TRY_AGAIN): then it
waits on its node, in order, even while its sender reads on. When rings are re-formed, nodes that
stay together first read the same prefix of their old log (beyond it only what they sent
themselves), then are told who left, then who joined. A message is lost only to those whom its
sender has left, or with its sender's machine.

Everything is synchronous and nothing is random: the caller decides who reads when.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.identity import Member, NodeId

KEEP_ALL = 1 << 30
"""As ``keep`` of a reform: nothing that was ordered is lost."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A process joined at this place of the log."""

    member: Member


@dataclass(frozen=True, slots=True)
class Left:
    """A process left, or died, at this place of the log."""

    member: Member


LogEntry = Delivered | Joined | Left
CpgEvent = ConfigurationChange | Delivered


def _node_of(entry: LogEntry) -> NodeId:
    return entry.sender.node_id if isinstance(entry, Delivered) else entry.member.node_id


def _replay(view: Collection[Member], entries: Iterable[LogEntry]) -> frozenset[Member]:
    members = set(view)
    for entry in entries:
        match entry:
            case Joined(member):
                members.add(member)
            case Left(member):
                members.discard(member)
    return frozenset(members)


@dataclass(slots=True)
class Ring:
    """Nodes that hear each other, and everything they have agreed upon since the ring formed."""

    nodes: frozenset[NodeId]
    first_view: frozenset[Member] = frozenset()
    log: list[LogEntry] = field(default_factory=list)


@dataclass(slots=True)
class _Process:
    """One member's place in its ring's log, and what it must still read of older rings."""

    member: Member
    view: frozenset[Member]
    cursor: int
    inbox: deque[CpgEvent] = field(default_factory=deque)
    waiting: deque[bytes] = field(default_factory=deque)  # corosync was too busy to take them
    is_leaving: bool = False
    has_left: bool = False


class SimulatedCpg:
    """One group on several nodes, with at most one process of it per node."""

    def __init__(self) -> None:
        self._ring_of: dict[NodeId, Ring] = {}
        self._process_on: dict[NodeId, _Process] = {}
        self._busy: set[NodeId] = set()
        self._read_on: dict[NodeId, int] = {}  # how far processes that are gone had read

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes whose corosync runs, in order."""
        return tuple(sorted(self._ring_of))

    def ring_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """The nodes in the same ring as ``node_id``; empty when its corosync does not run."""
        ring = self._ring_of.get(node_id)
        return frozenset() if ring is None else ring.nodes

    def start_node(self, node_id: NodeId) -> None:
        """Start corosync on a node, in a ring of its own until the next reform."""
        assert node_id not in self._ring_of, f"corosync runs on node {node_id} already"
        self._ring_of[node_id] = Ring(frozenset([node_id]))

    def stop_node(self, node_id: NodeId) -> None:
        """Stop corosync on a node; the others notice at the next reform without it."""
        del self._ring_of[node_id]
        self._process_on.pop(node_id, None)
        self._read_on.pop(node_id, None)
        self._busy.discard(node_id)

    def join(self, member: Member) -> None:
        """Let a process join the group."""
        ring = self._ring_of[member.node_id]
        assert self._process_on.get(member.node_id) is None, f"{member} has not left yet"
        view = _replay(ring.first_view, ring.log)
        self._process_on[member.node_id] = _Process(member, view, cursor=len(ring.log))
        ring.log.append(Joined(member))

    def leave(self, member: Member) -> None:
        """Let a process leave: it still reads up to the change that no longer lists it."""
        process = self._process_on[member.node_id]
        if not process.is_leaving:
            process.is_leaving = True
            process.waiting.clear()
            self._ring_of[member.node_id].log.append(Left(member))

    def announce_again(self, member: Member) -> None:
        """Tell everybody once more that a member has joined, as corosync may when rings merge."""
        process = self._process_on.get(member.node_id)
        if process is not None and process.member == member and not process.is_leaving:
            self._ring_of[member.node_id].log.append(Joined(member))

    def kill(self, member: Member) -> None:
        """Let a process die: the others are told, and what it had sent is still delivered."""
        process = self._process_on.get(member.node_id)
        if process is None or process.member != member:
            return
        self.leave(member)
        self._forget(process)

    def multicast(self, sender: Member, data: bytes) -> bool:
        """Send to all members; false (and silence, as in corosync) unless the sender has joined."""
        process = self._process_on.get(sender.node_id)
        if process is None or process.member != sender or process.is_leaving:
            return False
        process.waiting.append(data)
        if sender.node_id not in self._busy:
            self._send_waiting(process)
        return True

    def set_busy(self, node_id: NodeId, *, is_busy: bool) -> None:
        """Let a node's corosync take no messages; or take them again, and those that waited."""
        process = self._process_on.get(node_id)
        if is_busy and node_id in self._ring_of:
            self._busy.add(node_id)
            return
        self._busy.discard(node_id)
        if process is not None:
            self._send_waiting(process)

    def is_busy(self, node_id: NodeId) -> bool:
        """Whether a node's corosync takes no messages at the moment."""
        return node_id in self._busy

    def has_unread(self, node_id: NodeId) -> bool:
        """Whether ``deliver`` would return something."""
        process = self._process_on.get(node_id)
        if process is None:
            return False
        return bool(process.inbox) or process.cursor < len(self._ring_of[node_id].log)

    def deliver(self, node_id: NodeId) -> CpgEvent | None:
        """Return what the process on this node reads next, or None."""
        process = self._process_on.get(node_id)
        if process is None:
            return None
        if not process.inbox:
            self._read(process, self._ring_of[node_id].log, limit=1)
        event = process.inbox.popleft() if process.inbox else None
        if process.has_left and not process.inbox:
            self._forget(process)
        return event

    def reform(self, rings: Sequence[Collection[NodeId]], keep: int = KEEP_ALL) -> None:
        """Form these rings out of the old ones.

        Args:
            rings: the new rings, disjoint; every node named must run. Nodes not named keep theirs.
            keep: of what no staying member has read yet, how many log entries are recovered.
        """
        plans = [(frozenset(nodes), self._groups(nodes)) for nodes in rings]
        for nodes, groups in plans:
            views = {group: self._close(group, keep) for group in groups}
            members = _members_on_own_nodes(views)
            ring = Ring(nodes, members)
            for group, view in views.items():
                self._open(ring, group, view)

    def _groups(self, nodes: Collection[NodeId]) -> list[frozenset[NodeId]]:
        """Split the nodes of a new ring by the ring they come from, the lowest node first."""
        groups: dict[int, set[NodeId]] = {}
        for node_id in sorted(nodes):
            groups.setdefault(id(self._ring_of[node_id]), set()).add(node_id)
        return [frozenset(group) for group in groups.values()]

    def _close(self, group: frozenset[NodeId], keep: int) -> frozenset[Member]:
        """Let the group's processes read the same end of their old ring; return their last view."""
        ring = self._ring_of[min(group)]
        processes = self._processes(group)
        gone = [self._read_on.pop(node_id, 0) for node_id in group]
        read = max([process.cursor for process in processes] + gone)
        cut = max(read + keep, _place_behind_last_change(ring.log))
        agreed = ring.log[:cut] + [entry for entry in ring.log[cut:] if _node_of(entry) in group]
        for process in processes:
            self._read(process, agreed)
        return _replay(ring.first_view, agreed)

    def _open(self, ring: Ring, group: frozenset[NodeId], view: frozenset[Member]) -> None:
        """Move a group into its new ring and tell its processes who left and who joined."""
        for node_id in group:
            self._ring_of[node_id] = ring
        staying = frozenset(member for member in view if member.node_id in group)
        for process in self._processes(group):
            process.cursor = 0
            if process.has_left:
                continue
            if view != staying:
                process.inbox.append(_change(staying, left=view - staying))
            if ring.first_view != staying:
                process.inbox.append(_change(ring.first_view, joined=ring.first_view - staying))
            process.view = ring.first_view

    def _send_waiting(self, process: _Process) -> None:
        log = self._ring_of[process.member.node_id].log
        while process.waiting:
            log.append(Delivered(process.member, process.waiting.popleft()))

    def _forget(self, process: _Process) -> None:
        node_id = process.member.node_id
        self._read_on[node_id] = max(process.cursor, self._read_on.get(node_id, 0))
        del self._process_on[node_id]

    def _processes(self, group: Iterable[NodeId]) -> list[_Process]:
        return [
            self._process_on[node_id] for node_id in sorted(group) if node_id in self._process_on
        ]

    def _read(self, process: _Process, log: Sequence[LogEntry], limit: int = KEEP_ALL) -> None:
        """Move entries of the log into the process's inbox, up to its own leave."""
        for entry in log[process.cursor : process.cursor + limit]:
            process.cursor += 1
            if process.has_left:
                continue
            before = process.view
            process.view = _replay(before, [entry])
            match entry:
                case Joined(member):
                    process.inbox.append(_change(process.view, joined=[member]))
                case Left(member):
                    process.has_left = member == process.member
                    if member in before:
                        process.inbox.append(_change(process.view, left=[member]))
                case Delivered():
                    process.inbox.append(entry)


def _place_behind_last_change(log: Sequence[LogEntry]) -> int:
    """Return up to where nothing is ever lost.

    Real corosync knows no such limit. With it, members that part agree on all changes before the
    last one, which lets one contract judge both.
    """
    places = [place for place, entry in enumerate(log) if not isinstance(entry, Delivered)]
    return places[-1] + 1 if places else 0


def _members_on_own_nodes(
    views: Mapping[frozenset[NodeId], frozenset[Member]],
) -> frozenset[Member]:
    return frozenset(
        member for group, view in views.items() for member in view if member.node_id in group
    )


def _change(
    members: Iterable[Member], left: Iterable[Member] = (), joined: Iterable[Member] = ()
) -> ConfigurationChange:
    return ConfigurationChange(tuple(sorted(members)), tuple(sorted(left)), tuple(sorted(joined)))
