"""Feeds events to the replica and performs its effects, in order and without ever waiting.

The driver is synchronous: whoever brings an event (the group, the quorum watch, a local caller)
runs the replica to the end of what follows from it. Only a local caller waits, for its answer.
While the database takes nothing, events and callers queue here, and reads go on.
"""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from errno import EBUSY, EINTR, EIO

import structlog
import trio

from pmxcfs.callers import Callers
from pmxcfs.committing import Batch, Committer, Keeper, Storage
from pmxcfs.dcdb import (
    DiskState,
    Forget,
    ForgetAll,
    KeepLosingTree,
    MarkUnshared,
    PublishCorosyncConf,
    TreeShared,
)
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.events import Delivered
from pmxcfs.dfsm.modes import Mode
from pmxcfs.errors import OperationError, StorageError, TemporaryStorageError
from pmxcfs.memdb.operations import Operation
from pmxcfs.replica import Event, Replica
from pmxcfs.stepping import InterruptionError, Promise, is_stepping
from pmxcfs.surroundings import Group, KernelCache, NoKernelCache
from pmxcfs.tallies import Durations
from pmxcfs.values import value

log = structlog.get_logger("dcdb")

ANSWER_WAIT_S_MAX = 30
"""How long a local caller waits for its own change to come back from the group: longer than a ring
needs to form anew, shorter than anybody's patience."""

QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""What may queue up behind a database that takes nothing before we stop waiting for it."""

_EVENT_OVERHEAD_BYTES = 256


@value(frozen=True, slots=True)
class _Request:
    """A local caller's change, on its way to the replica."""

    ticket: Ticket
    operation: Operation


class Driver:
    """One replica with its database, its group and its local callers.

    Args:
        replica: the pure state of this node.
        storage: its database; a batch of deliveries is one commit.
        clock: returns UNIX seconds.
        steady_clock: returns seconds of a clock that is never stepped, for the ages of locks; by
            default the other one.
    """

    def __init__(
        self,
        replica: Replica,
        storage: Storage,
        clock: Callable[[], int],
        steady_clock: Callable[[], int] | None = None,
    ) -> None:
        self.replica = replica
        self._steady_clock = steady_clock or clock
        self._committer = Committer(replica, storage, clock)
        self._clock = clock
        self._group: Group | None = None
        self._cache: KernelCache = NoKernelCache()
        self._publish: Callable[[PublishCorosyncConf], None] = lambda effect: None
        self._tap: Callable[[Sequence[Effect]], None] = lambda effects: None
        self._sync_here: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self._sync_majority: Callable[[], Awaitable[None]] | None = None
        self._tell_progress: Callable[[], None] = lambda: None
        self._tickets = itertools.count(1)
        self._waiters = Callers()
        self._callers: dict[Ticket, Callable[[int], None]] = {}
        self._awaited: deque[tuple[float, Promise[int | None]]] = deque()
        self._inbox: list[Event | _Request] = []
        self._queued_bytes = 0
        self._is_pumping = False
        self._has_granted = self._has_dropped = False

    @property
    def waiting(self) -> Batch | None:
        """The batch that the database could not take yet; everything else queues behind it."""
        return self._committer.waiting

    @property
    def storage_refusal(self) -> StorageError | None:
        """Why the database takes no changes, for a while or for good; None if it does."""
        return self._committer.refusal

    @property
    def caller_count(self) -> int:
        """How many local callers wait for their changes."""
        return self._waiters.count

    @property
    def queued(self) -> int:
        """How many events and requests queue behind the database."""
        return len(self._inbox)

    @property
    def commits(self) -> Durations:
        """The commits that the database took."""
        return self._committer.durations

    @property
    def group(self) -> Group | None:
        """The group, once it is attached."""
        return self._group

    def attach(self, group: Group) -> None:
        """Name the group; its events come to ``feed``."""
        self._group = group

    def attach_cache(self, cache: KernelCache) -> None:
        """Name what is to be told of changed entries."""
        self._cache = cache

    def attach_publisher(self, publish: Callable[[PublishCorosyncConf], None]) -> None:
        """Name what brings a changed corosync.conf to the host; it must not block."""
        self._publish = publish

    def attach_tap(self, tap: Callable[[Sequence[Effect]], None]) -> None:
        """Name what is told of effects once they are performed; it must not block."""
        self._tap = tap

    def attach_keeper(self, keeper: Keeper) -> None:
        """Name what keeps a tree that a synchronisation drops."""
        self._committer.keeper = keeper

    def begin(self, operation: Operation, on_result: Callable[[int], None]) -> Ticket:
        """Start a change. ``on_result`` gets a count or a negative errno, now or later, once."""
        ticket = Ticket(next(self._tickets))
        self._callers[ticket] = on_result
        self._inbox.append(_Request(ticket, operation))
        self._pump()
        return ticket

    def give_up(self, ticket: Ticket) -> int:
        """Answer nobody for this ticket any more.

        Returns:
            The negative errno that its caller gets: EBUSY if the change was not sent and never
            will be, EIO if nobody knows what becomes of it.
        """
        self._callers.pop(ticket, None)
        return -EBUSY if self._withdraw(ticket) else -EIO

    async def submit(self, operation: Operation) -> int:
        """Make a change and wait until every member that goes on with us will have it.

        Returns:
            The count of bytes written, or zero.

        Raises:
            OperationError: it was refused; EACCES without quorum, EBUSY if the group could not
                take it, EIO if its outcome is unknown or our database failed, EINTR if the caller
                was interrupted: it is not done if it had not been sent, else unknown.
        """
        with self._waiters.place(operation):
            answer = Promise[int | None]()
            ticket = self.begin(operation, answer.keep)
            try:
                result = answer.result if answer.is_kept else await self._within_bound(answer)
            except trio.Cancelled:
                self.give_up(ticket)
                raise
            except InterruptionError:
                self.give_up(ticket)
                raise OperationError(EINTR) from None
            if result is None:
                result = self._tell_and_give_up(ticket, operation)
        if result < 0:
            raise OperationError(-result)
        self._has_granted = True
        return result

    async def _within_bound(self, answer: Promise[int | None]) -> int | None:
        """Return the answer, or None if it takes too long."""
        if is_stepping():
            self._awaited.append((trio.current_time() + ANSWER_WAIT_S_MAX, answer))
            return await answer
        with trio.move_on_after(ANSWER_WAIT_S_MAX):
            return await answer
        return None

    def end_overdue(self) -> None:
        """Let go those callers without a task of their own who have waited for too long.

        To be called about every second while there may be such callers.
        """
        now_s = trio.current_time()
        while self._awaited and (self._awaited[0][1].is_kept or self._awaited[0][0] <= now_s):
            _, answer = self._awaited.popleft()
            if not answer.is_kept:
                answer.keep(None)

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events, in order, and do what follows from them before returning.

        Called from within an effect, or while the database takes nothing, it only queues them.
        """
        events = list(events)
        self._inbox.extend(events)
        if self.waiting is not None:
            self._queued_bytes += sum(map(_size_bytes, events))
            if self._queued_bytes > QUEUE_BYTES_MAX:
                log.warning("too much queues behind the database", size_bytes=self._queued_bytes)
                self.stop_waiting()
        self._pump()

    def retry(self) -> None:
        """Try the database again if a batch waits for it, or if changes are being refused."""
        self._pump(self._committer.retry)

    def stop_waiting(self) -> None:
        """Refuse the waiting batch, and all changes until ``retry`` finds the database writable."""
        self._pump(self._committer.stop_waiting)

    def on_storage_failed(self, error: StorageError) -> None:
        """Refuse all changes until a restart: the database was found broken."""
        self._pump(lambda: self._committer.fail(error))

    async def wait_for_trouble(self) -> None:
        """Return once the database could not be written: then ``retry`` has to be called."""
        await self._committer.trouble.wait()
        self._committer.trouble = trio.Event()

    async def wait_until_writable(self) -> None:
        """Return unless changes are refused because the database cannot be written; then wait.

        A group must not be joined before that.
        """
        await self._committer.over.wait()

    def attach_sync(self, sync: Callable[[], Awaitable[None]]) -> None:
        """Name what brings all that was committed to the disk; it raises StorageError."""
        self._sync_here = sync

    def attach_durability(
        self, wait: Callable[[], Awaitable[None]], on_progress: Callable[[], None]
    ) -> None:
        """Name what brings all that was committed to the disks of a majority of the cluster.

        Args:
            wait: does it; raises OperationError.
            on_progress: is called whenever the database may have taken changes; must not block.
        """
        self._sync_majority, self._tell_progress = wait, on_progress

    @property
    def is_settled(self) -> bool:
        """Whether the database has all that the replica has seen, and the group is in sync."""
        return (
            self.replica.mode is Mode.SYNCED
            and self.replica.disk is DiskState.WRITABLE
            and self.waiting is None
            and not self._is_pumping
        )

    async def sync(self) -> None:
        """Return once all changes that were answered survive a loss of power.

        In a cluster they do on a majority of its nodes, else on this one.

        Raises:
            OperationError: EIO, our database failed; or others have not said so in time; or changes
                that were answered were dropped by a synchronisation, and nobody was told so yet.
        """
        if self._has_dropped:
            self._has_dropped = False
            log.warning("fsync fails once: a synchronisation dropped changes that were answered")
            raise OperationError(EIO)
        await (self._sync_majority or self.sync_here)()

    async def sync_here(self) -> None:
        """Return once all changes that were answered survive a loss of power on this node.

        Raises:
            OperationError: EIO, our database failed.
        """
        try:
            await self._sync_here()
        except TemporaryStorageError:
            raise OperationError(EIO) from None
        except StorageError as error:
            self.on_storage_failed(error)
        if self.replica.disk is DiskState.FAILED:
            raise OperationError(EIO)

    def publish_corosync_conf(self) -> None:
        """Bring the tree's corosync.conf to the host, as every start in cluster mode does."""
        self._perform(self.replica.publication())

    def _pump(self, begin: Callable[[], Sequence[Effect]] = tuple) -> None:
        """Perform what ``begin`` returns, then everything that is queued, unless it has to wait."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            self._perform_all(begin())
            while self._inbox and self.waiting is None:
                self._queued_bytes = 0
                batch, self._inbox = self._inbox, []
                self._perform([effect for item in batch for effect in self._effects_of(item)])
        finally:
            self._is_pumping = False
        self._tell_progress()

    def _effects_of(self, item: Event | _Request) -> Sequence[Effect]:
        now_s = self._clock()
        self.replica.memdb.locks.follow(self._steady_clock(), now_s)
        if isinstance(item, _Request):
            return self.replica.submit(item.ticket, item.operation, now_s)
        return self.replica.step(item, now_s)

    def _perform(self, effects: Sequence[Effect]) -> None:
        """Commit the whole batch first, in one transaction; then do the rest in order."""
        self._perform_all(self._committer.commit(effects))

    def _perform_all(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._perform_one(effect)
        self._tap(effects)

    def _perform_one(self, effect: Effect) -> None:
        match effect:
            case Multicast(data):
                assert self._group is not None, "events only come from an attached group"
                self._group.multicast(data)
            case Answer(ticket, result):
                on_result = self._callers.pop(ticket, None)
                if on_result is not None:
                    on_result(result)
            case Forget(changes, is_own):
                self._cache.forget(changes, is_own=is_own)
            case ForgetAll():
                self._cache.forget_all()
            case LeaveGroup(for_good):
                assert self._group is not None, "events only come from an attached group"
                self._group.leave(for_good=for_good)
            case PublishCorosyncConf():
                self._publish(effect)
            case KeepLosingTree():
                self._has_dropped = self._has_granted
            case MarkUnshared(version):
                self._committer.keeper.mark_unshared(version)
            case TreeShared():
                self.replica.on_tree_shared(self._clock())
                self._committer.keeper.mark_unshared(None)

    def _withdraw(self, ticket: Ticket) -> bool:
        """Take a request back; false means that it was sent."""
        kept = [
            item
            for item in self._inbox
            if not (isinstance(item, _Request) and item.ticket == ticket)
        ]
        was_queued = len(kept) < len(self._inbox)
        self._inbox = kept
        return was_queued or self.replica.withdraw(ticket)

    def _tell_and_give_up(self, ticket: Ticket, operation: Operation) -> int:
        culprits = self.replica.culprits if self.waiting is None else ["our database"]
        result = self.give_up(ticket)
        was_sent = result == -EIO
        self._waiters.tell_gave_up(operation, culprits, ANSWER_WAIT_S_MAX, was_sent=was_sent)
        return result


def _size_bytes(event: Event) -> int:
    """Return about how much memory an event holds."""
    return _EVENT_OVERHEAD_BYTES + (len(event.data) if isinstance(event, Delivered) else 0)
