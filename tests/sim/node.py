"""One simulated node: a real replica, driver and database; a simulated process and corosync."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from errno import EBUSY
from typing import Literal, Protocol

from pmxcfs.corosync.host_config import Verdict, judge
from pmxcfs.database import Database
from pmxcfs.dcdb import DiskState, PublishCorosyncConf
from pmxcfs.dfsm.effects import Effect, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Disconnected, SendFailed
from pmxcfs.driver import ANSWER_WAIT_S_MAX, Driver
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.memdb import Memdb, Outcome
from pmxcfs.memdb.operations import Operation, UnlockRequest
from pmxcfs.memdb.paths import LOCK_DIRECTORY
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Event, HandledEvent, QuorumChanged, Replica, VerifyDue
from pmxcfs.waits.vigil import NodesNamed, TimePassed
from tests.sim.cpg import SimulatedCpg
from tests.sim.lineage import State, state_of

DiskFault = Literal["busy", "broken"]

CrashPoint = Literal[
    "commit-before",
    "commit-after",
    "send-before",
    "send-after",
    "answer-before",
    "answer-after",
    "keep-before",
    "keep-after",
    "mark-before",
    "mark-after",
    "leave-before",
    "leave-after",
    "publish-before",
    "publish-after",
]


class ProcessDied(BaseException):
    """The process is gone in the middle of what it was doing: no error, and not to be handled."""


@dataclass(slots=True, eq=False)
class Request:
    """What a local caller asked for, and the answer."""

    node_id: NodeId
    operation: Operation
    result: int | None = None
    is_orphan: bool = False  # the process died before it answered
    waited_s: float = 0
    was_withdrawn: bool = False  # it was not sent, and never will be


class Watcher(Protocol):
    """Who wants to know what a node does, at the moment it does it."""

    def on_applied(
        self, node: "Node", operation: Operation, before: State, after: State
    ) -> None: ...
    def on_replaced(self, node: "Node", before: State, after: State) -> None: ...
    def on_asked_to_unlock(
        self, node: "Node", request: UnlockRequest, *, is_granted: bool
    ) -> None: ...
    def on_published(self, node: "Node", before: bytes | None, after: bytes) -> None: ...
    def on_shared(self, node: "Node") -> None: ...
    def on_committed(self, node: "Node") -> None: ...
    def on_answered(self, node: "Node", request: Request, result: int) -> None: ...
    def on_configuration(self, node: "Node") -> None: ...
    def on_stopped(self, node: "Node") -> None: ...


class WatchedMemdb(Memdb):
    """The real thing, which tells when the tree changes."""

    def __init__(self, tree: Tree, now_s: int, node: "Node", watcher: Watcher) -> None:
        self._watcher: Watcher | None = None
        self._node = node
        super().__init__(tree, now_s)
        self._watcher = watcher

    def apply(self, operation: Operation, writer: int, time: int, now_s: int) -> Outcome:
        before = state_of(self.tree)
        outcome = super().apply(operation, writer, time, now_s)
        if outcome.changes and self._watcher is not None:
            self._watcher.on_applied(self._node, operation, before, state_of(self.tree))
        if isinstance(operation, UnlockRequest) and self._watcher is not None:
            is_granted = outcome.expired is not None
            self._watcher.on_asked_to_unlock(self._node, operation, is_granted=is_granted)
        return outcome

    def replace(self, tree: Tree, now_s: int) -> None:
        before = state_of(self.tree) if self._watcher is not None else None
        self._node.dropped = self.tree if before is not None else None
        super().replace(tree, now_s)
        if self._watcher is not None and before is not None:
            self._watcher.on_replaced(self._node, before, state_of(self.tree))


class WatchedReplica(Replica):
    """The real thing; beside it stands what it has been told, for those who judge it.

    Attributes:
        is_told_quorate: the last that it heard of quorum.
        is_listening: it was told of a connection since it last asked to leave.
        view: who is in the group with it.
    """

    def __init__(self, memdb: Memdb, node: "Node", watcher: Watcher) -> None:
        super().__init__(
            memdb,
            node_name=f"node{node.node_id}",
            standalone=False,
            unshared_since=node.unshared_since,
        )
        self.is_told_quorate = False
        self.is_listening = False
        self.view: tuple[Member, ...] = ()
        self._node = node
        self._watcher = watcher

    def _react(self, event: HandledEvent, now_s: int) -> list[Effect]:
        """Handle an event, perhaps some time after it came."""
        match event:
            case QuorumChanged(is_quorate):
                self.is_told_quorate = is_quorate
            case ConfigurationChange(members):
                self._look_around(members)
            case Connected():
                self.is_listening = True
            case Disconnected():
                self.is_listening = False
                self._look_around(())
        return super()._react(event, now_s)

    def _look_around(self, members: tuple[Member, ...]) -> None:
        self.view = members
        self._watcher.on_configuration(self._node)


@dataclass(slots=True, eq=False)
class Process:
    """A running daemon; all of it is lost in a crash.

    Attributes:
        notices: events that are not the group's, but come before its next ones.
        is_joined: whether the group has it, whatever it has read of that.
        is_gone_for_good: whether it has left and will not come back.
        quorum_news: the last that it was sent about quorum.
    """

    member: Member
    replica: WatchedReplica
    driver: Driver
    notices: deque[Event] = field(default_factory=deque)
    is_joined: bool = False
    is_gone_for_good: bool = False
    quorum_news: bool = False


class Node:
    """A machine with a disk, on which a process runs or does not.

    Attributes:
        database: survives the process.
        process: None while it does not run.
        crash_point: where the process dies the next time it gets there.
        refused_sends: how many of the next sends the group refuses.
        disk_fault: what the disk does instead of taking changes.
        dropped: the tree that the last synchronisation replaced.
        kept: how many trees were kept before they were dropped; they survive the process.
        unshared_since: what is remembered beside the database.
        host_file: the machine's own corosync.conf.
    """

    def __init__(
        self,
        node_id: NodeId,
        cpg: SimulatedCpg,
        clock: Callable[[], int],
        watcher: Watcher,
        steady_clock: Callable[[], int] | None = None,
    ) -> None:
        self.node_id = node_id
        self.database = Database.in_memory(now_s=clock())
        self.process: Process | None = None
        self.crash_point: CrashPoint | None = None
        self.refused_sends = 0
        self.disk_fault: DiskFault | None = None
        self.requests: list[Request] = []
        self.host_file: bytes | None = None
        self.dropped: Tree | None = None
        self.kept = 0
        self.unshared_since: int | None = None
        self._cpg = cpg
        self._clock = clock
        self._steady_clock = steady_clock
        self._watcher = watcher
        self._starts = 0
        self._has_committed = False
        self._saved: Tree | None = None
        self._ticket_of: dict[Request, Ticket] = {}
        self._last_seen: tuple[Tree, int] | None = None

    @property
    def running(self) -> Process:
        """The process, which must run."""
        assert self.process is not None, f"node {self.node_id} does not run"
        return self.process

    @property
    def is_failed(self) -> bool:
        """Whether the process runs but has given up on the cluster."""
        return self.process is not None and self.process.is_gone_for_good

    @property
    def state(self) -> State:
        """What the tree is right now."""
        return state_of(self.running.replica.memdb.tree)

    def saved(self) -> Tree:
        """Return what the database has."""
        if self._saved is None:
            self._saved = self.database.load()
        return self._saved

    def saved_state(self) -> State:
        """Return in which state the database is."""
        return state_of(self.saved())

    def has_moved(self) -> bool:
        """Whether the tree is not as it was when this was asked last."""
        tree = self.running.replica.memdb.tree
        last, self._last_seen = self._last_seen, (tree, tree.root.version)
        return last is None or last[0] is not tree or last[1] != tree.root.version

    def locks(self) -> list[bytes]:
        """Return the checksums of all locks that the tree has."""
        tree = self.running.replica.memdb.tree
        directory = tree.find(LOCK_DIRECTORY)
        children = tree.children(directory.inode) if directory is not None else ()
        return [entry_checksum(entry) for entry in children if entry.is_directory]

    def start(self) -> None:
        """Start the process; it has loaded its database and does not know the group yet."""
        self._starts += 1
        self._saved = None
        member = Member(self.node_id, Pid(self.node_id * 1000 + self._starts))
        memdb = WatchedMemdb(self.database.load(), self._clock(), self, self._watcher)
        replica = WatchedReplica(memdb, self, self._watcher)
        driver = Driver(replica, self, self._clock, self._steady_clock)
        driver.attach(self)
        driver.attach_keeper(self)
        driver.attach_publisher(self.publish)
        self.process = Process(member, replica, driver)

    def stop(self) -> None:
        """Lose the process and whoever waits for it."""
        self._watcher.on_stopped(self)
        self._has_committed = False
        for request in self.requests:
            request.is_orphan = True
        self.requests = []
        self._ticket_of.clear()
        self._last_seen = None
        self.process = None
        self.crash_point = None
        self.refused_sends = 0

    def join(self) -> None:
        """Join the group, or join it again."""
        process = self.running
        process.driver.feed([Connected(process.member)])
        self._cpg.join(process.member)
        process.is_joined = True

    def lose_group(self) -> None:
        """Notice that corosync is gone."""
        self._forget_group()
        self.running.quorum_news = False
        self.running.driver.feed([Disconnected(), QuorumChanged(False)])

    def tell_quorum(self, is_quorate: bool) -> None:
        """Hear from corosync's quorum service."""
        self.running.quorum_news = is_quorate
        self.running.driver.feed([QuorumChanged(is_quorate)])

    def learn_names(self, node_ids: Iterable[NodeId]) -> None:
        """Hear from corosync's configuration which nodes the cluster has."""
        names = {node_id: f"node{node_id}" for node_id in node_ids}
        self.running.driver.feed([NodesNamed(names)])

    def pass_time(self, seconds: float) -> None:
        """Let the process notice that time has gone by, and callers lose patience."""
        self.running.driver.feed([TimePassed(seconds)])
        for request in list(self.requests):
            request.waited_s += seconds
            if request.waited_s >= ANSWER_WAIT_S_MAX:
                self._give_up(request)

    def keep(self, entries: Sequence[Entry], now_s: int) -> None:
        """Keeper of the driver: a tree is about to be dropped."""
        self._pass("keep-before")
        self.kept += 1
        self._pass("keep-after")

    def mark_unshared(self, version: int | None) -> None:
        """Keeper of the driver: what no other node may have."""
        self._pass("mark-before")
        self.unshared_since = version
        if version is None:
            self._watcher.on_shared(self)
        self._pass("mark-after")

    def publish(self, effect: PublishCorosyncConf) -> None:
        """Publisher of the driver: bring the host's corosync.conf up to the tree's."""
        self._pass("publish-before")
        before = self.host_file
        if judge(effect.text, before) is Verdict.WRITTEN:
            self.host_file = effect.text
            self._watcher.on_published(self, before, effect.text)
        self._pass("publish-after")

    def verify(self) -> None:
        """Let the hour strike."""
        self.running.driver.feed([VerifyDue()])

    def read(self, count: int) -> int:
        """Feed up to ``count`` of the group's events in one batch; return how many there were."""
        process = self.running
        events: list[Event] = []
        while len(events) < count and (event := self._next(process)) is not None:
            events.append(event)
            if isinstance(event, ConfigurationChange) and process.member not in event.members:
                self._forget_group()
                events.append(Disconnected())
        if events:
            process.driver.feed(events)
        return len(events)

    def has_unread(self) -> bool:
        """Whether ``read`` would bring anything."""
        return bool(self.running.notices) or self._cpg.has_unread(self.node_id)

    def begin(self, request: Request) -> None:
        """Start an operation for a local caller."""
        self.requests.append(request)

        def answer(result: int) -> None:
            self._pass("answer-before")
            self._answer(request, result)
            self._pass("answer-after")

        ticket = self.running.driver.begin(request.operation, answer)
        if request in self.requests:
            self._ticket_of[request] = ticket

    def report(self) -> None:
        """Tell the watcher if there were commits since the last report."""
        if self._has_committed:
            self._has_committed = False
            self._watcher.on_committed(self)

    def is_in_trouble(self) -> bool:
        """Whether the daemon waits for its disk, or refuses changes until it works again."""
        driver = self.running.driver
        return driver.waiting is not None or driver.replica.disk is DiskState.REFUSING

    def retry_disk(self) -> None:
        """Let the daemon try its disk again."""
        self.running.driver.retry()

    def lose_patience(self) -> None:
        """Let the daemon no longer wait for its disk."""
        self.running.driver.stop_waiting()

    def commit(self, changes: Sequence[Change]) -> None:
        """Storage of the driver: the disk with its faults."""
        self.probe()
        self._pass("commit-before")
        self.database.commit(changes)
        self._has_committed, self._saved = True, None
        self._pass("commit-after")

    def probe(self) -> None:
        """Storage of the driver: whether a commit would work."""
        if self.disk_fault == "busy":
            raise TemporaryStorageError("the disk is busy")
        if self.disk_fault == "broken":
            raise StorageError("the disk is broken")

    def multicast(self, data: bytes) -> None:
        """Group of the driver: the network with its faults."""
        self._pass("send-before")
        if self.refused_sends:
            self.refused_sends -= 1
            self.running.notices.append(SendFailed(data))
        else:
            self._cpg.multicast(self.running.member, data)
        self._pass("send-after")

    def leave(self, *, for_good: bool) -> None:
        """Group of the driver: leave, and come back later unless for good."""
        self._pass("leave-before")
        process = self.running
        process.is_gone_for_good |= for_good
        process.replica.is_listening = False
        if process.is_joined:
            self._cpg.leave(process.member)
        self._pass("leave-after")

    def _answer(self, request: Request, result: int) -> None:
        request.result = result
        self.requests.remove(request)
        self._ticket_of.pop(request, None)
        self._watcher.on_answered(self, request, result)

    def _give_up(self, request: Request) -> None:
        """Let a caller wait no longer, as ``Driver.submit`` does."""
        result = self.running.driver.give_up(self._ticket_of[request])
        request.was_withdrawn = result == -EBUSY
        self._answer(request, result)

    def _next(self, process: Process) -> Event | None:
        if process.notices:
            return process.notices.popleft()
        return self._cpg.deliver(self.node_id)

    def _forget_group(self) -> None:
        self.running.is_joined = False
        self.running.notices.clear()

    def _pass(self, point: CrashPoint) -> None:
        if self.crash_point == point:
            self.crash_point = None
            raise ProcessDied
