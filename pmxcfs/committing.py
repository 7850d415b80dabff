"""Brings batches of effects to the disk: at once, a little later, or not at all.

A database that somebody has locked, or whose disk is full, takes nothing for a while. The batch is
then taken back in memory, so that memory never shows what the disk lacks, and waits; whoever drives
it brings nothing new until it is in. The waiting has an end (see ``pmxcfs.patience``): after it,
changes are refused until the database takes a test transaction. Any other failure is final.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import EIO
from time import perf_counter_ns
from typing import Protocol

import structlog
import trio

from pmxcfs.dcdb import Commit, DiskState, KeepLosingTree, MarkUnshared
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.replica import Replica
from pmxcfs.tallies import Durations

log = structlog.get_logger("database")


class Storage(Protocol):
    """Where changes become permanent."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Write all changes or none, without waiting for anybody.

        Raises:
            TemporaryStorageError: nothing was written; it may work later.
            StorageError: nothing was written, and there is no use in trying again.
        """

    def probe(self) -> None:
        """Write something that changes nothing, to see whether changes would be taken.

        Raises:
            TemporaryStorageError: not yet.
            StorageError: never again.
        """


class Keeper(Protocol):
    """Where is kept what the database will not have any more, and what must be known of it."""

    def keep(self, entries: Sequence[Entry], now_s: int) -> None:
        """Keep a whole tree; again with the same entries, nothing happens.

        Raises:
            TemporaryStorageError: it may work later.
            StorageError: there is no use in trying again.
        """

    def mark_unshared(self, version: int | None) -> None:
        """Remember over restarts since which version no other node may have our changes."""


class _NoKeeper:
    def keep(self, entries: Sequence[Entry], now_s: int) -> None:
        """Nothing is kept."""

    def mark_unshared(self, version: int | None) -> None:
        """Nothing is remembered."""


@dataclass(eq=False, slots=True)
class Batch:
    """Effects that wait for the disk, the changes among them, since when, and the last error."""

    effects: Sequence[Effect]
    changes: Sequence[Change]
    error: TemporaryStorageError
    since_s: int


class Committer:
    """Between the effects of a replica and its database.

    All methods return the effects that are to be performed now, in order.

    Attributes:
        waiting: the batch that waits for the disk.
        trouble: set when the database begins to be in need of ``retry``.
        over: set unless changes are refused until the database can be written again.
        refusal: why changes are refused; None while they are not.
        durations: of the commits that the database took.
        keeper: is asked before a commit to keep what that would drop.
    """

    def __init__(self, replica: Replica, storage: Storage, clock: Callable[[], int]) -> None:
        self.durations = Durations()
        self._replica = replica
        self._storage = storage
        self._clock = clock
        self.keeper: Keeper = _NoKeeper()
        self.waiting: Batch | None = None
        self.refusal: StorageError | None = None
        self.trouble = trio.Event()
        self.over = trio.Event()
        self.over.set()

    def commit(self, effects: Sequence[Effect]) -> Sequence[Effect]:
        """Commit the changes of a batch in one transaction; if they have to wait, all of it does.

        Not to be called while a batch waits.
        """
        changes = [
            change for effect in effects if isinstance(effect, Commit) for change in effect.changes
        ]
        if not changes:
            return effects
        try:
            self._write(effects, changes)
        except TemporaryStorageError as error:
            self._replica.take_back(changes, self._clock())
            self.waiting = Batch(effects, changes, error, self._clock())
            self.trouble.set()
            return ()
        except StorageError as error:
            self._replica.take_back(changes, self._clock())
            return self._failed(effects, error)
        return effects

    def retry(self) -> Sequence[Effect]:
        """Try the waiting batch again, or whether changes can be taken again at all."""
        try:
            if self.waiting is not None:
                self._write(self.waiting.effects, self.waiting.changes)
                return self._brought_back()
            if self._replica.disk is DiskState.REFUSING:
                self._storage.probe()
                return self._recovered()
        except TemporaryStorageError as error:
            if self.waiting is not None:
                self.waiting.error = error
        except StorageError as error:
            return self.fail(error)
        return ()

    def stop_waiting(self) -> Sequence[Effect]:
        """Refuse the waiting batch and all further changes, until a test transaction succeeds."""
        batch, self.waiting = self.waiting, None
        if batch is None:
            return ()
        log.critical(
            "the database cannot be written: changes are refused until it can",
            error=str(batch.error),
        )
        self.over = trio.Event()
        self.refusal = batch.error
        consequences = self._replica.on_disk_refusing(self._clock())
        return self._refused(batch.effects, consequences)

    def fail(self, error: StorageError) -> Sequence[Effect]:
        """Refuse what waits and all further changes until a restart."""
        batch, self.waiting = self.waiting, None
        return self._failed(batch.effects if batch is not None else (), error)

    def _write(self, effects: Sequence[Effect], changes: Sequence[Change]) -> None:
        """Keep what is about to be dropped, then commit."""
        for effect in effects:
            match effect:
                case KeepLosingTree(entries, now_s):
                    self.keeper.keep(entries, now_s)
                case MarkUnshared(version):
                    self.keeper.mark_unshared(version)
        began_ns = perf_counter_ns()
        self._storage.commit(changes)
        self.durations.note(perf_counter_ns() - began_ns)

    def _brought_back(self) -> Sequence[Effect]:
        batch, self.waiting = self.waiting, None
        assert batch is not None
        self._replica.bring_back(batch.changes, self._clock())
        return batch.effects

    def _recovered(self) -> Sequence[Effect]:
        log.warning("the database can be written again: changes are taken again")
        self.over.set()
        self.refusal = None
        return self._replica.on_disk_writable(self._clock())

    def _failed(self, effects: Sequence[Effect], error: StorageError) -> Sequence[Effect]:
        if self._replica.disk is DiskState.FAILED:
            return self._refused(effects, ())
        log.critical("the database failed: no more changes until a restart", error=str(error))
        self.over.set()
        self.refusal = error
        return self._refused(effects, self._replica.on_disk_failed(self._clock()))

    def _refused(
        self, effects: Sequence[Effect], consequences: Sequence[Effect]
    ) -> Sequence[Effect]:
        """Return what is left to do of effects whose changes were refused.

        Whoever waits for a part gets EIO. What wanted to leave the group still does. Messages are
        left out: we are about to leave too, and alone we send none together with changes.
        """
        answers = [Answer(effect.ticket, -EIO) for effect in effects if isinstance(effect, Answer)]
        leaving = [effect for effect in effects if isinstance(effect, LeaveGroup)]
        return [*answers, *leaving, *consequences]
