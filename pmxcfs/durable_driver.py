"""Feeds the durability group's events to its machine, syncs the disk for it, and lets fsync wait.

Nothing here is on the path of a change: as long as nobody asks for durability, nothing is sent and
nothing is synced.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from errno import EIO

import structlog
import trio

from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import GroupEvent
from pmxcfs.durable.machine import Durability, SyncDisk
from pmxcfs.durable.promise import Promise
from pmxcfs.durable.votes import Votes
from pmxcfs.errors import OperationError
from pmxcfs.identity import NodeId
from pmxcfs.status.members import ClusterInfo
from pmxcfs.surroundings import Group
from pmxcfs.tallies import Durations
from pmxcfs.waits.vigil import TimePassed

log = structlog.get_logger("dcdb")

MAJORITY_WAIT_S_MAX = 10.0
"""How long fsync waits for others unless the command line says otherwise."""

QUIET_S = 10.0
"""Of many callers who give up at about the same time, one line tells."""

ROLL_WAIT_S_MAX = 1.0
"""How long a member may take to answer a call: it takes milliseconds, on a busy machine tenths. Nor
is there more than one call in this time, however many want to know: all members have to answer."""


@dataclass(frozen=True, slots=True)
class FsyncWait:
    """All who wait in fsync, as it is told to people; whom the first of them waits for."""

    callers: int
    waits_for: tuple[str, ...]
    waited_s: float


class DurableDriver:
    """One node's durability with its group, its disk and its local callers.

    Args:
        node: the pure state.
        sync_here: returns when all that was committed before survives a loss of power on this
            node; raises OperationError if it may not.
        wait_s_max: how long a caller waits for others.

    Attributes:
        waits: how long callers waited, their own disk included.
        results: how often it was done, given up, or failed: our disk, or another tree came.
    """

    def __init__(
        self,
        node: Durability,
        sync_here: Callable[[], Awaitable[None]],
        wait_s_max: float = MAJORITY_WAIT_S_MAX,
    ) -> None:
        self.waits = Durations()
        self.results = Counter({"done": 0, "gave_up": 0, "failed": 0})
        self._node = node
        self._sync_here = sync_here
        self._wait_s_max = wait_s_max
        self._group: Group | None = None
        self._tickets = itertools.count(1)
        self._callers: dict[Ticket, _Caller] = {}
        self._sync_wanted = trio.Event()
        self._said_at_s = -QUIET_S
        self._called_at_s = -ROLL_WAIT_S_MAX
        self._roll_changed = trio.Event()
        self._silent = 0

    @property
    def promise(self) -> Promise:
        """What a successful fsync means now."""
        return self._node.promise

    @property
    def group(self) -> Group | None:
        """The group, once there is one."""
        return self._group

    @property
    def callers(self) -> int:
        """How many wait at the moment."""
        return len(self._callers)

    @property
    def waiting(self) -> FsyncWait | None:
        """Who waits at the moment, if anybody does."""
        if not self._callers:
            return None
        ticket, caller = next(iter(self._callers.items()))
        whom = self._node.lacking(ticket) if caller.is_here else ["our disk"]
        return FsyncWait(len(self._callers), tuple(whom), trio.current_time() - caller.began_s)

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
        changed, self._roll_changed = self._roll_changed, trio.Event()
        changed.set()

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
        ticket, caller = Ticket(next(self._tickets)), _Caller(trio.current_time())
        self._callers[ticket] = caller
        try:
            await self._wait_as(ticket, caller)
        finally:
            self._node.withdraw(ticket)
            del self._callers[ticket]
            self.waits.note(int((trio.current_time() - caller.began_s) * 1e9))

    async def _wait_as(self, ticket: Ticket, caller: "_Caller") -> None:
        self._perform(self._node.ask(ticket))
        mark = self._node.mark()
        try:
            await self._sync_here()
        except OperationError:
            self.results["failed"] += 1
            raise
        caller.is_here = True
        self._perform(self._node.note_synced(mark, ticket))
        with trio.move_on_at(caller.began_s + self._wait_s_max):
            await caller.woken.wait()
        if caller.result is None:
            self.results["gave_up"] += 1
            self._say_gave_up(ticket)
        else:
            self.results["failed" if caller.result else "done"] += 1
        if caller.result != 0:
            raise OperationError(EIO)

    async def call_roll(self) -> Mapping[NodeId, bool]:
        """Ask all members of the group, and return which of them were able to answer.

        Empty if that cannot be told: we are no member, or corosync does not carry our question.
        """
        if self._is_call_over:
            self._call()
        with trio.move_on_at(self._called_at_s + ROLL_WAIT_S_MAX):
            while not self._node.roll.is_complete:
                await self._roll_changed.wait()
        return self._node.roll.answers

    def count_silent(self) -> int:
        """Return how many members did not answer the last call, and call again; does not wait.

        It is for who asks now and then: the first answer is about nobody.
        """
        if self._is_call_over or self._node.roll.is_complete:
            self._silent = sum(not is_here for is_here in self._node.roll.answers.values())
        if self._is_call_over:
            self._call()
        return self._silent

    @property
    def _is_call_over(self) -> bool:
        return trio.current_time() - self._called_at_s >= ROLL_WAIT_S_MAX

    def _call(self) -> None:
        self._called_at_s = trio.current_time()
        self._perform(self._node.call_roll())

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

    __slots__ = ("began_s", "is_here", "result", "woken")

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.is_here = False
        self.result: int | None = None
        self.woken = trio.Event()

    def wake(self, result: int) -> None:
        self.result = result
        self.woken.set()
