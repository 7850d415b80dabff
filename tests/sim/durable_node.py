"""A simulated node with a disk that can lose what was not synced, and a second group for fsync."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from pmxcfs.database import Database
from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Disconnected
from pmxcfs.dfsm.history import History
from pmxcfs.durable.machine import ASK_PERIOD_S, Durability, Mark, SyncDisk
from pmxcfs.durable.promise import Promise
from pmxcfs.durable.votes import Votes
from pmxcfs.identity import NodeId
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry
from pmxcfs.memdb.tree import Tree
from tests.sim.cpg import SimulatedCpg
from tests.sim.lineage import State, state_of
from tests.sim.node import Node, Watcher

Disk = tuple[Entry, ...]


@dataclass(slots=True, eq=False)
class Fsync:
    """One fsync under way: what the node had when it was asked for, and how far it has come."""

    node_id: NodeId
    ticket: Ticket
    state: State
    result: int | None = None
    is_synced_here: bool = False
    promise: Promise = Promise.NOTHING


class FsyncWatcher(Protocol):
    """Who wants to know what fsync promised."""

    def on_fsync(self, fsync: Fsync) -> None: ...


@dataclass(slots=True)
class _Sync:
    """A sync of the disk that runs."""

    mark: Mark | None
    commits: int
    callers: list[Fsync]


class DurableNode(Node):
    """A node of ``DurableWorld``.

    Attributes:
        fsyncs: which local callers wait for.
        is_in_group: whether the durability group has our process.
    """

    def __init__(
        self,
        node_id: NodeId,
        cpg: SimulatedCpg,
        durable_cpg: SimulatedCpg,
        clock: Callable[[], int],
        watcher: Watcher,
        fsync_watcher: FsyncWatcher,
    ) -> None:
        super().__init__(node_id, cpg, clock, watcher)
        self.fsyncs: list[Fsync] = []
        self.is_in_group = False
        self._durable_cpg = durable_cpg
        self._fsync_watcher = fsync_watcher
        self._tickets = itertools.count(1)
        self._synced: Disk = _entries(self.database)
        self._unsynced: deque[Disk] = deque()
        self._sync: _Sync | None = None
        self._is_sync_wanted = False
        self.machine = Durability(History(), lambda: False)

    @property
    def synced_state(self) -> State:
        """What a power cut leaves at the least."""
        return state_of(Tree.from_entries(self._synced))

    @property
    def unsynced_count(self) -> int:
        """How many commits a power cut may take."""
        return len(self._unsynced)

    @property
    def has_disk_work(self) -> bool:
        """Whether a sync runs or is wanted."""
        return self._sync is not None or self._is_sync_wanted

    def start(self) -> None:
        """Start the process, with a machine that knows nothing."""
        super().start()
        driver = self.running.driver
        self.machine = Durability(driver.replica.history, lambda: driver.is_settled)
        driver.attach_durability(trio.lowlevel.checkpoint, self.on_progress)

    def stop(self) -> None:
        """Lose the process and whoever waits for it."""
        self._durable_cpg.kill(self.running.member)
        super().stop()
        self.fsyncs = []
        self.is_in_group = False
        self._sync, self._is_sync_wanted = None, False

    def join(self) -> None:
        """Join the groups, or those of them that have not got us."""
        super().join()
        if not self.is_in_group:
            self.is_in_group = True
            self._perform(self.machine.step(Connected(self.running.member)))
            self._durable_cpg.join(self.running.member)

    def lose_group(self) -> None:
        """Notice that corosync is gone."""
        self.is_in_group = False
        self.machine.learn_quorum(is_quorate=False)
        super().lose_group()
        self._perform(self.machine.step(Disconnected()))

    def tell_quorum(self, is_quorate: bool) -> None:
        """Hear from corosync's quorum service."""
        self.machine.learn_quorum(is_quorate)
        super().tell_quorum(is_quorate)

    def learn_names(self, node_ids: Iterable[NodeId]) -> None:
        """Hear from corosync's configuration which nodes the cluster has."""
        super().learn_names(node_ids)
        names = {node_id: f"node{node_id}" for node_id in node_ids}
        self._perform(self.machine.learn_nodes(Votes(dict.fromkeys(node_ids, 1)), names))

    def pass_time(self, seconds: float) -> None:
        """Let the process notice that time has gone by."""
        super().pass_time(seconds)
        self._perform(self.machine.pass_time(seconds))

    def on_progress(self) -> None:
        """Driver: the database may have taken changes."""
        if not self.machine.is_idle:
            self._perform(self.machine.advance())

    def commit(self, changes: Sequence[Change]) -> None:
        """Storage of the driver: what is committed is not yet synced."""
        try:
            super().commit(changes)
        finally:
            now = _entries(self.database)
            if now != (self._unsynced[-1] if self._unsynced else self._synced):
                self._unsynced.append(now)

    def fsync(self) -> None:
        """Start an fsync for a local caller."""
        fsync = Fsync(self.node_id, Ticket(next(self._tickets)), self.state)
        self.fsyncs.append(fsync)
        self._perform(self.machine.ask(fsync.ticket))

    def ask_again(self) -> None:
        """Let the machine alone notice that time has gone by."""
        self._perform(self.machine.pass_time(ASK_PERIOD_S))

    def give_up_fsync(self) -> None:
        """Let the oldest caller wait no more."""
        if self.fsyncs:
            self.machine.withdraw(self.fsyncs.pop(0).ticket)

    def work_disk(self) -> None:
        """Begin a sync of the disk, or end the one that runs."""
        if self._sync is None:
            self._is_sync_wanted = False
            callers = [fsync for fsync in self.fsyncs if not fsync.is_synced_here]
            self._sync = _Sync(self.machine.mark(), len(self._unsynced), callers)
            return
        sync, self._sync = self._sync, None
        for _ in range(sync.commits):
            self._synced = self._unsynced.popleft()
        self._perform(self.machine.note_synced(sync.mark))
        for fsync in sync.callers:
            fsync.is_synced_here = True
            self._perform(self.machine.note_synced(sync.mark, fsync.ticket))
        self._acknowledge()

    def read_durable(self, count: int) -> None:
        """Read up to ``count`` events of the durability group."""
        for _ in range(count):
            event = self._durable_cpg.deliver(self.node_id)
            if event is None:
                return
            member = self.running.member
            if isinstance(event, ConfigurationChange) and member not in event.members:
                continue  # late news of a ring of its own
            self._perform(self.machine.step(event))

    def has_unread_durable(self) -> bool:
        """Whether ``read_durable`` would bring anything."""
        return self._durable_cpg.has_unread(self.node_id)

    def lose_unsynced(self, keep: int) -> None:
        """Let the disk, whose machine is off, have no more than ``keep`` of the last commits."""
        assert self.process is None, f"node {self.node_id} runs"
        disks = [self._synced, *self._unsynced]
        self._synced = disks[min(keep, len(disks) - 1)]
        self._unsynced.clear()
        self.database = _database_of(self._synced)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast(data):
                    self._durable_cpg.multicast(self.running.member, data)
                case SyncDisk():
                    self._is_sync_wanted = True
                case Answer(ticket, result):
                    fsync = next(one for one in self.fsyncs if one.ticket == ticket)
                    fsync.result, fsync.promise = result, self.machine.promise
        self._acknowledge()
        self._is_sync_wanted |= any(not fsync.is_synced_here for fsync in self.fsyncs)

    def _acknowledge(self) -> None:
        """Let go who was answered, after the node's own sync, as the driver does."""
        for fsync in list(self.fsyncs):
            if fsync.result is not None and fsync.is_synced_here:
                self.fsyncs.remove(fsync)
                if fsync.result == 0:
                    self._fsync_watcher.on_fsync(fsync)


def _entries(database: Database) -> Disk:
    return tuple(database.load().entries())


def _database_of(disk: Disk) -> Database:
    database = Database.in_memory()
    fresh = database.load().root
    database.commit([Change(fresh if one.inode == ROOT_INODE else None, one) for one in disk])
    return database
