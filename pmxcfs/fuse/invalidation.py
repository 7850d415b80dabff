"""Makes the kernel forget the attributes that it remembers of changed entries.

Only attributes: the kernel forgets them at once. Making it forget a name waits for the lock of the
directory, which a request holds until we answer it; a daemon that is killed at that moment cannot
die, since the waiting thread keeps the connection open and the connection keeps the lock. (Seen at
two of three kills under load.) The same goes for pages that are being read.

Attributes are enough. Without them the kernel asks for the inode before it uses it, and we answer
ESTALE for one that is gone; the kernel then looks the name up again, and the caller never sees it.
What remains is that a file moved by another node is found under its old name too until the kernel
has forgotten the name by itself, see ``attributes.CACHE_S``.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from pmxcfs.fuse.attributes import Attributes
from pmxcfs.fuse.inodes import kernel_inode
from pmxcfs.fuse.lookups import Lookups
from pmxcfs.fuse.open_files import OpenFiles
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, Inode

log = structlog.get_logger("main")


class Notifier(Protocol):
    """The call into the kernel."""

    def forget_attributes(self, inode: int) -> None:
        """Forget what is remembered of an inode; does not wait for any request of ours.

        Raises:
            OSError: the kernel refused; ENOENT if it does not know the inode.
        """


class Invalidator:
    """A thread that tells the kernel what to forget; each inode once, however often it is asked.

    What waits is bounded by what the kernel knows.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._waiting: set[int] = set()
        self._is_stopping = False
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="invalidation", daemon=True)

    def start(self) -> None:
        """Begin to tell the kernel."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Drop what is left to do and wait for the thread; false means that it did not end."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def add(self, inodes: Iterable[int]) -> None:
        """Note what is to be forgotten. Never blocks."""
        with self._work:
            self._waiting.update(inodes)
            if self._waiting:
                self._work.notify()

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
        try:
            self._notifier.forget_attributes(inode)
        except FileNotFoundError:
            pass  # the kernel had forgotten by itself
        except OSError as error:
            if not self._is_stopping:
                log.warning(
                    "the kernel did not forget an inode and may show old attributes for a second",
                    error=str(error),
                )


class MountCache:
    """Everything that has to keep up with the tree: open files, and the kernel's memory of it.

    It never blocks. Nothing is sent for new entries, since the kernel remembers no absent names,
    nor for the root, whose visible attributes never change.
    """

    def __init__(
        self,
        find: Callable[[Inode], Entry | None],
        open_files: OpenFiles,
        lookups: Lookups,
        attributes: Attributes,
    ) -> None:
        self._find = find
        self._open_files = open_files
        self._lookups = lookups
        self._attributes = attributes
        self._invalidator: Invalidator | None = None

    def attach(self, invalidator: Invalidator) -> None:
        """Name what tells the kernel; before that the kernel knows nothing."""
        self._invalidator = invalidator

    def forget(self, changes: Sequence[Change]) -> None:
        """Bring open files up to date, and have the kernel forget these entries."""
        self._open_files.follow(changes)
        changed = [
            number
            for change in changes
            if change.before is not None
            and change.inode != ROOT_INODE
            and (number := kernel_inode(change.inode)) in self._lookups
        ]
        if changed and self._invalidator is not None:
            self._invalidator.add(changed)

    def forget_all(self) -> None:
        """Have the kernel forget everything: modes have changed, or the tree is another."""
        self._attributes.drop_all()
        self._open_files.follow_tree(self._find)
        if self._invalidator is not None:
            self._invalidator.add(self._lookups)
