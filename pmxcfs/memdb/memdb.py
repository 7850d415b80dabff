"""The configuration tree as one node holds it, with all that is derived from it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy

from pmxcfs.errors import OperationError, StorageError
from pmxcfs.memdb import engine
from pmxcfs.memdb.counters import ChangeCounters
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.guests import GuestList
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.locks import LockTable
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Operation,
    Rename,
    SetMtime,
    Unlock,
    UnlockRequest,
    Write,
)
from pmxcfs.memdb.paths import LOCK_DIRECTORY
from pmxcfs.memdb.renaming import rename
from pmxcfs.memdb.tree import Tree
from pmxcfs.memdb.unlocking import expired_lock, unlock
from pmxcfs.memdb.workspace import Workspace
from pmxcfs.values import value


@value(frozen=True, slots=True)
class Outcome:
    """What became of an operation.

    ``result`` is zero or a count of bytes; a negative errno is a refusal. ``changes`` are in the
    order in which they were made and end with the root's; a refusal has none, but for the one
    that ``memdb.renaming`` describes. ``expired`` answers an UnlockRequest: the release that the
    member with the lowest node id has to send.
    """

    result: int
    changes: tuple[Change, ...] = ()
    expired: Unlock | None = None


class Memdb:
    """The tree, its guests, its locks and the counters of observed files.

    ``now_s`` is everywhere our own clock in seconds, one that never goes back.

    Attributes:
        tree: the present tree; ``replace`` puts another object here.

    Raises:
        StorageError: the loaded tree has a VM id twice, or a file where a directory of guest
            configurations belongs.

    Source: docs/PROTOCOL.md, "Operations".
    """

    def __init__(self, tree: Tree, now_s: int) -> None:
        self.guests = GuestList()
        self.locks = LockTable()
        self.counters = ChangeCounters()
        self.replace(tree, now_s)

    def apply(self, operation: Operation, writer: int, time: int, now_s: int) -> Outcome:
        """Do what an operation asks for, or refuse.

        Args:
            operation: with values that fit the wire: offset and mtime are unsigned 32-bit.
            writer: the node id of the member that sent the operation; 0 in standalone mode.
            time: that member's clock, seconds since 1970.
            now_s: our own clock, for the ages of locks.
        """
        work = Workspace(self.tree, self.guests, self.locks, self.counters, writer, time, now_s)
        if isinstance(operation, UnlockRequest):
            return Outcome(0, expired=expired_lock(work, operation))
        try:
            result = _perform(work, operation)
        except OperationError as refusal:
            result = -refusal.errno
        return Outcome(result, tuple(work.changes))

    def replace(self, tree: Tree, now_s: int) -> None:
        """Take over another tree, loaded or received in a synchronisation.

        Raises:
            StorageError: as at construction; nothing has changed.
        """
        guests = copy(self.guests)
        guests.rebuild(tree)
        self.tree, self.guests = tree, guests
        self._note_replacement(now_s)

    def revert(self, changes: Sequence[Change], now_s: int) -> None:
        """Undo changes, because the database did not take them.

        Args:
            changes: of one or more Outcomes, in the order in which they were made, or those that
                the present tree brought when it replaced another.
            now_s: our own clock, for the ages of locks.
        """
        self.tree.revert(changes)
        self._derive(now_s)

    def redo(self, changes: Sequence[Change], now_s: int) -> None:
        """Make changes again that were undone, because the database has taken them after all."""
        self.tree.redo(changes)
        self._derive(now_s)

    def _derive(self, now_s: int) -> None:
        # Messages of the reference can give an id to two guests, which only a load refuses; the
        # list is then complete but for the second.
        with suppress(StorageError):
            self.guests.rebuild(self.tree)
        self._note_replacement(now_s)

    def _note_replacement(self, now_s: int) -> None:
        self.counters.bump_all()
        self.locks.rebuild(_locks_of(self.tree), now_s)


def _perform(work: Workspace, operation: Operation) -> int:
    match operation:
        case Write():
            return engine.write(work, operation)
        case Create():
            return engine.create(work, operation)
        case Mkdir():
            return engine.mkdir(work, operation)
        case SetMtime():
            return engine.set_mtime(work, operation)
        case Delete():
            return engine.delete(work, operation)
        case Rename():
            return rename(work, operation)
        case Unlock():
            return unlock(work, operation)
        case UnlockRequest():
            raise AssertionError("a request to unlock changes nothing")


def _locks_of(tree: Tree) -> Iterator[tuple[bytes, bytes]]:
    """Yield path and checksum of every lock: the directories directly below ``priv/lock``."""
    directory = tree.find(LOCK_DIRECTORY)
    if directory is None:
        return
    for entry in tree.children(directory.inode):
        if entry.is_directory:
            yield LOCK_DIRECTORY + b"/" + entry.name, entry_checksum(entry)
