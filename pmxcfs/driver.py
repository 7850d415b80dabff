"""Feeds events to the replica and performs its effects, in order and without ever waiting.

The driver is synchronous: whoever brings an event (the group, the quorum watch, a local caller)
runs the replica to the end of what follows from it. Only a local caller waits, for its answer.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from errno import EBUSY, EIO
from typing import Protocol

import structlog
import trio

from pmxcfs.dcdb import Commit, Forget, ForgetAll, PublishCorosyncConf
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.errors import OperationError, StorageError
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.operations import Operation
from pmxcfs.replica import Event, Replica

log = structlog.get_logger("dcdb")

ANSWER_WAIT_S_MAX = 60
"""How long a local caller waits for its own change to come back from the group."""


class Storage(Protocol):
    """Where changes become permanent."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Write all changes or none.

        Raises:
            StorageError: nothing was written.
        """


class Group(Protocol):
    """The closed process group that carries the changes."""

    def multicast(self, data: bytes) -> None:
        """Send to all members, ourselves included; never blocks. A failure comes as an event."""

    def leave(self, *, for_good: bool) -> None:
        """Leave, and join again unless ``for_good``; never blocks."""


class KernelCache(Protocol):
    """What the kernel remembers of the tree; never blocks."""

    def forget(self, changes: Sequence[Change]) -> None:
        """These entries are not what they were."""

    def forget_all(self) -> None:
        """Nothing can be relied upon, modes included."""


class _NoKernelCache:
    def forget(self, changes: Sequence[Change]) -> None:
        """Nothing is cached."""

    def forget_all(self) -> None:
        """Nothing is cached."""


class Driver:
    """One replica with its database, its group and its local callers.

    Args:
        replica: the pure state of this node.
        storage: its database; a batch of deliveries is one commit.
        clock: returns UNIX seconds.
    """

    def __init__(self, replica: Replica, storage: Storage, clock: Callable[[], int]) -> None:
        self.replica = replica
        self._storage = storage
        self._clock = clock
        self._group: Group | None = None
        self._cache: KernelCache = _NoKernelCache()
        self._publish: Callable[[PublishCorosyncConf], None] = lambda effect: None
        self._tickets = itertools.count(1)
        self._callers: dict[Ticket, Callable[[int], None]] = {}
        self._inbox: list[Event] = []
        self._is_pumping = False

    def attach(self, group: Group) -> None:
        """Name the group; its events come to ``feed``."""
        self._group = group

    def attach_cache(self, cache: KernelCache) -> None:
        """Name what is to be told of changed entries."""
        self._cache = cache

    def attach_publisher(self, publish: Callable[[PublishCorosyncConf], None]) -> None:
        """Name what brings a changed corosync.conf to the host; it must not block."""
        self._publish = publish

    def begin(self, operation: Operation, on_result: Callable[[int], None]) -> Ticket:
        """Start a change. ``on_result`` gets a count or a negative errno, now or later, once."""
        ticket = Ticket(next(self._tickets))
        self._callers[ticket] = on_result
        self._perform(self.replica.submit(ticket, operation, self._clock()))
        return ticket

    async def submit(self, operation: Operation) -> int:
        """Make a change and wait until every member that goes on with us will have it.

        Returns:
            The count of bytes written, or zero.

        Raises:
            OperationError: it was refused; EACCES without quorum, EBUSY if the group could not
                take it, EIO if its outcome is unknown or our database failed.
        """
        caller = _Caller()
        ticket = self.begin(operation, caller.wake)
        if caller.result is None:
            with trio.move_on_after(ANSWER_WAIT_S_MAX):
                await caller.woken.wait()
        result = caller.result if caller.result is not None else self._give_up(ticket, operation)
        if result < 0:
            raise OperationError(-result)
        return result

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events, in order, and do what follows from them before returning.

        Called from within an effect it only queues them.
        """
        self._inbox.extend(events)
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._inbox:
                batch, self._inbox = self._inbox, []
                now_s = self._clock()
                effects: list[Effect] = []
                for event in batch:
                    effects += self.replica.step(event, now_s)
                self._perform(effects)
        finally:
            self._is_pumping = False

    def publish_corosync_conf(self) -> None:
        """Bring the tree's corosync.conf to the host, as every start in cluster mode does."""
        self._perform(self.replica.publication())

    def _perform(self, effects: Sequence[Effect]) -> None:
        """Commit the whole batch first, in one transaction; then do the rest in order."""
        changes = [
            change for effect in effects if isinstance(effect, Commit) for change in effect.changes
        ]
        if changes:
            try:
                self._storage.commit(changes)
            except StorageError as error:
                effects = self._unperformed(effects, changes, error)
        for effect in effects:
            self._perform_one(effect)

    def _perform_one(self, effect: Effect) -> None:
        match effect:
            case Multicast(data):
                assert self._group is not None, "events only come from an attached group"
                self._group.multicast(data)
            case Answer(ticket, result):
                on_result = self._callers.pop(ticket, None)
                if on_result is not None:
                    on_result(result)
            case Forget(changes):
                self._cache.forget(changes)
            case ForgetAll():
                self._cache.forget_all()
            case LeaveGroup(for_good):
                assert self._group is not None, "events only come from an attached group"
                self._group.leave(for_good=for_good)
            case PublishCorosyncConf():
                self._publish(effect)

    def _unperformed(
        self, effects: Sequence[Effect], changes: Sequence[Change], error: StorageError
    ) -> Sequence[Effect]:
        """Take the batch back in memory too; whoever waits for a part of it gets EIO."""
        log.critical("the database refused a change; no more changes until a restart", error=error)
        consequences = self.replica.on_commit_failed(changes, self._clock())
        refusals = [Answer(effect.ticket, -EIO) for effect in effects if isinstance(effect, Answer)]
        return [*refusals, *consequences]

    def _give_up(self, ticket: Ticket, operation: Operation) -> int:
        """Stop waiting for a change; return the negative errno that the caller gets."""
        self._callers.pop(ticket, None)
        was_sent = not self.replica.withdraw(ticket)
        log.warning(
            "gave up waiting for the group",
            operation=type(operation).__name__,
            was_sent=was_sent,
            waited_s=ANSWER_WAIT_S_MAX,
            mode=self.replica.mode.name,
            awaiting=sorted(member.node_id for member in self.replica.awaiting),
        )
        return -EIO if was_sent else -EBUSY


class _Caller:
    """One waiting task; the event is only there to be waited for when the answer takes time."""

    __slots__ = ("result", "woken")

    def __init__(self) -> None:
        self.result: int | None = None
        self.woken = trio.Event()

    def wake(self, result: int) -> None:
        self.result = result
        self.woken.set()
