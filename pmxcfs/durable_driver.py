"""Feeds the durability group's events to its machine, syncs the disk for it, and lets fsync wait.

Nothing here is on the path of a change: as long as nobody asks for durability, nothing is sent and
nothing is synced.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from errno import EIO

import structlog
import trio

from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import GroupEvent
from pmxcfs.durable.machine import Durability, SyncDisk
from pmxcfs.durable.promise import Promise
from pmxcfs.durable.votes import Votes
from pmxcfs.errors import OperationError
from pmxcfs.status.members import ClusterInfo
from pmxcfs.surroundings import Group
from pmxcfs.waits.vigil import TimePassed

log = structlog.get_logger("dcdb")

MAJORITY_WAIT_S_MAX = 10.0
"""How long fsync waits for others unless the command line says otherwise."""

QUIET_S = 10.0
"""Of many callers who give up at about the same time, one line tells."""


class DurableDriver:
    """One node's durability with its group, its disk and its local callers.

    Args:
        node: the pure state.
        sync_here: returns when all that was committed before survives a loss of power on this
            node; raises OperationError if it may not.
        wait_s_max: how long a caller waits for others.
    """

    def __init__(
        self,
        node: Durability,
        sync_here: Callable[[], Awaitable[None]],
        wait_s_max: float = MAJORITY_WAIT_S_MAX,
    ) -> None:
        self._node = node
        self._sync_here = sync_here
        self._wait_s_max = wait_s_max
        self._group: Group | None = None
        self._tickets = itertools.count(1)
        self._callers: dict[Ticket, _Caller] = {}
        self._sync_wanted = trio.Event()
        self._said_at_s = -QUIET_S

    @property
    def promise(self) -> Promise:
        """What a successful fsync means now."""
        return self._node.promise

    def attach(self, group: Group) -> None:
        """Name the group; its events come to ``feed``, but never from within ``multicast``."""
        self._group = group

    def feed(self, events: Iterable[GroupEvent | TimePassed]) -> None:
        """Take in events, in order, and do what follows from them before returning."""
        for event in events:
            if isinstance(event, TimePassed):
                self._perform(self._node.pass_time(event.passed_s))
            else:
                self._perform(self._node.step(event))

    def learn_nodes(self, info: ClusterInfo) -> None:
        """Take over a new reading of corosync's configuration."""
        votes = Votes({node.node_id: node.votes for node in info.nodes}, info.other_votes)
        names = {node.node_id: node.name for node in info.nodes}
        self._perform(self._node.learn_nodes(votes, names))

    def learn_quorum(self, is_quorate: bool) -> None:
        """Hear from corosync's quorum service."""
        self._node.learn_quorum(is_quorate)

    def on_progress(self) -> None:
        """Hear that the tree's database may have more than before. Part of every change: cheap."""
        if not self._node.is_idle:
            self._perform(self._node.advance())

    async def wait(self) -> None:
        """Return once a majority of the cluster has on its disks what this node has now.

        Raises:
            OperationError: EIO, our disk failed; or no majority has told so within the bound.
        """
        ticket, caller = Ticket(next(self._tickets)), _Caller()
        self._callers[ticket] = caller
        deadline_s = trio.current_time() + self._wait_s_max
        try:
            self._perform(self._node.ask(ticket))
            mark = self._node.mark()
            await self._sync_here()
            self._perform(self._node.note_synced(mark, ticket))
            with trio.move_on_at(deadline_s):
                await caller.woken.wait()
            if caller.result is None:
                self._say_gave_up(ticket)
            if caller.result != 0:
                raise OperationError(EIO)
        finally:
            self._node.withdraw(ticket)
            del self._callers[ticket]

    async def run(self) -> None:
        """Sync the disk whenever others have asked for it. Runs until cancelled."""
        while True:
            await self._sync_wanted.wait()
            self._sync_wanted = trio.Event()
            mark = self._node.mark()
            try:
                await self._sync_here()
            except OperationError:
                continue  # our disk has had its line in the log; others ask again
            self._sync_wanted = trio.Event()  # what was wanted meanwhile is wanted again, if it is
            self._perform(self._node.note_synced(mark))

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast(data):
                    assert self._group is not None, "events only come from an attached group"
                    self._group.multicast(data)
                case Answer(ticket, result):
                    self._callers[ticket].wake(result)
                case SyncDisk():
                    self._sync_wanted.set()

    def _say_gave_up(self, ticket: Ticket) -> None:
        now_s = trio.current_time()
        if now_s - self._said_at_s >= QUIET_S:
            self._said_at_s = now_s
            log.warning(
                "fsync gave up waiting for a majority of the nodes to have it on their disks",
                waits_for=self._node.lacking(ticket),
                waited_s=round(self._wait_s_max),
                waiting=len(self._callers),
            )


class _Caller:
    """One waiting task."""

    __slots__ = ("result", "woken")

    def __init__(self) -> None:
        self.result: int | None = None
        self.woken = trio.Event()

    def wake(self, result: int) -> None:
        self.result = result
        self.woken.set()
