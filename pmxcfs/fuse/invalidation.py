"""Makes the kernel forget what it remembers of changed entries, without ever waiting for it.

Making it forget one name waits for the lock of the directory, which a request holds until we answer
it; making it forget pages waits for those that are being read. A daemon that is killed at such a
moment cannot die, since the waiting thread keeps the connection open and the connection keeps the
lock. (Seen at two of three kills under load.) So we tell it two things that wait for nothing:

- Forget attributes. Without them the kernel asks for the inode before it uses it: we answer ESTALE
  for one that is gone, so that it looks the name up again; and it drops the pages itself, in the
  reader's time, if size or modification time are new to it, for which ``stamps`` cares.
- Look all names up again, if another node has removed or moved one. Kernels before 6.16 do not know
  that; there a name can outlive its file for ``attributes.CACHE_S``.

Of what its own requests change it is told neither (see ``own_changes``).
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog

from pmxcfs.fuse.attributes import Attributes
from pmxcfs.fuse.inodes import kernel_inode, tree_inode
from pmxcfs.fuse.listings import Listings
from pmxcfs.fuse.lookups import Lookups
from pmxcfs.fuse.open_files import OpenFiles
from pmxcfs.fuse.own_changes import OwnChanges, UnderWay
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, Inode

log = structlog.get_logger("main")


class Notifier(Protocol):
    """The call into the kernel.

    Attributes:
        forgets_names: whether it can be told to look names up again.
    """

    forgets_names: bool

    def forget_attributes(self, inode: int) -> None:
        """Forget what is remembered of an inode; does not wait for any request of ours.

        Raises:
            OSError: the kernel refused; ENOENT if it does not know the inode.
        """

    def forget_names(self) -> None:
        """Look all names up again. Never blocks.

        Raises:
            OSError: the kernel refused.
        """


class Invalidator:
    """A thread that tells the kernel what to forget; each inode once, however often it is asked.

    What waits is bounded by what the kernel knows.

    Attributes:
        told: of how many inodes' attributes the kernel was told.
        told_names: how often it was told to look all names up again.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._waiting: set[int] = set()
        self.told = 0
        self.told_names = 0
        self._is_stopping = False
        self._work = threading.Condition()
        self._worker = threading.Thread(target=self._run, name="invalidation", daemon=True)

    @property
    def forgets_names(self) -> bool:
        """Whether the kernel never finds an entry by a name that it had once."""
        return self._notifier.forgets_names

    def start(self) -> None:
        """Begin to tell the kernel."""
        self._worker.start()

    def stop(self, within_s: float) -> bool:
        """Drop what is left to do and wait for the thread; false means that it did not end."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        self._worker.join(within_s)
        return not self._worker.is_alive()

    def __len__(self) -> int:
        """Count what the kernel is still to be told."""
        return len(self._waiting)

    def add(self, inodes: Iterable[int]) -> None:
        """Note what is to be forgotten. Never blocks."""
        wanted = set(inodes)
        if not wanted:
            return
        with self._work:
            self._waiting |= wanted
            self._work.notify()

    def forget_names(self) -> None:
        """Have the kernel look all names up again, at once. Never blocks."""
        if self.forgets_names and not self._is_stopping:
            with self._complaining("names"):
                self.told_names += 1
                self._notifier.forget_names()

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._is_stopping or self._waiting)
                inodes, self._waiting = self._waiting, set()
            for inode in inodes:
                if self._is_stopping:
                    return
                self._tell(inode)
            if self._is_stopping:
                return

    def _tell(self, inode: int) -> None:
        with self._complaining("attributes"):
            self.told += 1
            self._notifier.forget_attributes(inode)

    @contextmanager
    def _complaining(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # the kernel had forgotten by itself
        except OSError as error:
            if not self._is_stopping:
                log.warning(
                    "the kernel does not forget and may show what was for another second",
                    what=what,
                    error=str(error),
                )


class MountCache:
    """Everything that has to keep up with the tree: open files, and the kernel's memory of it.

    It never blocks. Nothing is sent for new entries, since the kernel remembers no absent names,
    nor for the root, whose visible attributes never change and whose listing is not remembered.
    """

    def __init__(
        self,
        find: Callable[[Inode], Entry | None],
        open_files: OpenFiles,
        lookups: Lookups,
        attributes: Attributes,
        listings: Listings,
    ) -> None:
        self._find = find
        self._open_files = open_files
        self._lookups = lookups
        self._attributes = attributes
        self._listings = listings
        self._invalidator: Invalidator | None = None
        self._own_changes = OwnChanges(lambda inodes: self._tell(map(kernel_inode, inodes)))

    def attach(self, invalidator: Invalidator) -> None:
        """Name what tells the kernel; before that the kernel knows nothing."""
        self._invalidator = invalidator
        self._open_files.remembers_removed = invalidator.forgets_names

    @property
    def told(self) -> dict[str, int]:
        """How often the kernel was told to forget something, by what."""
        told = self._invalidator
        return {
            "attributes": 0 if told is None else told.told,
            "names": 0 if told is None else told.told_names,
        }

    @property
    def waiting(self) -> int:
        """How many inodes it is still to be told of."""
        return 0 if self._invalidator is None else len(self._invalidator)

    def changing_here(self, *inodes: Inode) -> UnderWay:
        """Have a request of this kernel change these for as long as the block lasts."""
        return self._own_changes.begin(inodes)

    def forget(self, changes: Sequence[Change], *, is_own: bool = False) -> None:
        """Bring open files up to date, and have the kernel forget these entries.

        A directory whose names change gets another time stamp, by which the kernel notices.

        Args:
            changes: in the order in which they were made.
            is_own: whether somebody on this node made them; it need not be a request that waits.
        """
        if is_own:
            for change in changes:
                if change.before is None:
                    self.last_made = change.after
        followed = [change for change in changes if not self._is_of_other(change)]
        self._open_files.follow(followed)
        for change in followed:
            if change.after is not None:
                place = (change.after.parent, change.after.name)
                self._lookups.follow(kernel_inode(change.inode), place)
        changed = [
            change
            for change in changes
            if change.before is not None
            and change.inode != ROOT_INODE
            and kernel_inode(change.inode) in self._lookups
        ]
        for change in changed:
            if _has_new_content(change):
                self._attributes.renew(change.inode)
        directories = {inode for change in changes for inode in _listings_changed(change)}
        for inode in directories:
            self._attributes.renew(inode)
        told = {change.inode for change in changed}
        told |= {inode for inode in directories if kernel_inode(inode) in self._lookups}
        if is_own:
            told = self._own_changes.spare(told, changed)
            changed = [change for change in changed if change.inode not in self._own_changes]
        self._tell(map(kernel_inode, told))
        if any(map(_ends_a_name, changed)):
            self._forget_names()

    def doubt(self, inode: Inode) -> None:
        """Have the kernel forget a file of which it may remember what was refused."""
        self._attributes.renew(inode)
        self._tell([kernel_inode(inode)])

    def forget_all(self) -> None:
        """Have the kernel forget everything: modes have changed, or the tree is another."""
        self._attributes.renew_all()
        self._lookups.follow_tree(lambda number: self._find(tree_inode(number)))
        self._open_files.follow_tree(self._still)
        self._tell(self._lookups)
        self._forget_names()

    def _still(self, inode: Inode) -> Entry | None:
        """Return the entry of an inode, unless the kernel takes it for another."""
        entry = self._find(inode)
        if entry is None or self._lookups.is_known_as_other(kernel_inode(inode), entry.type):
            return None
        return entry

    def _is_of_other(self, change: Change) -> bool:
        """Whether the kernel takes what has changed for something else."""
        entry = change.after or change.before
        number = kernel_inode(change.inode)
        return entry is not None and self._lookups.is_known_as_other(number, entry.type)

    def _forget_names(self) -> None:
        self._listings.end_freshness()
        if self._invalidator is not None:
            self._invalidator.forget_names()

    def _tell(self, numbers: Iterable[int]) -> None:
        if self._invalidator is not None:
            self._invalidator.add(numbers)


def _has_new_content(change: Change) -> bool:
    before, after = change.before, change.after
    if before is None or after is None:
        return False
    return before.data is not after.data or before.size != after.size


def _listings_changed(change: Change) -> Iterator[Inode]:
    """Yield the directories, other than the root, that list something else after a change."""
    before, after = change.before, change.after
    if before is not None and after is not None:
        if before.parent == after.parent and before.name == after.name:
            return
        if after.parent != before.parent and after.is_directory:
            yield after.inode  # its parent is in there too
    for entry in (before, after):
        if entry is not None and ROOT_INODE not in (entry.inode, entry.parent):
            yield entry.parent


def _ends_a_name(change: Change) -> bool:
    before, after = change.before, change.after
    if before is None or after is None:
        return True
    return (before.parent, before.name) != (after.parent, after.name)
