"""Makes the kernel forget what it remembers of changed entries.

Telling the kernel can block on a request that we ourselves have yet to answer. So it is done in a
thread of its own; whoever brings the changes only notes them down.
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

NAMES_WAITING_MAX = 4096
"""With more names than this to forget, everything the kernel knows is forgotten instead."""

Name = tuple[int, bytes]
"""The kernel's number of a directory, and a name in it."""


class Notifier(Protocol):
    """The calls into the kernel. Both may block, and raise OSError."""

    def forget_inode(self, inode: int) -> None:
        """Forget the attributes and the content of an inode."""

    def forget_name(self, directory: int, name: bytes) -> None:
        """Forget what a name stands for."""


class Invalidator:
    """A thread that tells the kernel what to forget; each thing once, however often it is asked.

    Inodes go first: a name can only be forgotten when no request is under way in its directory.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._inodes: set[int] = set()
        self._names: set[Name] = set()
        self._is_stopping = False
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="invalidation", daemon=True)

    def start(self) -> None:
        """Begin to tell the kernel."""
        self._thread.start()

    def stop(self) -> None:
        """Drop what is left to do, and end as soon as the kernel returns; does not wait."""
        with self._work:
            self._is_stopping = True
            self._work.notify()

    def join(self, within_s: float) -> bool:
        """Wait for the thread to end; false means that it is still inside a call."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def add(self, inodes: Iterable[int], names: Iterable[Name]) -> int:
        """Note what is to be forgotten; return how many names are waiting. Never blocks."""
        with self._work:
            self._inodes.update(inodes)
            self._names.update(names)
            if self._inodes or self._names:
                self._work.notify()
            return len(self._names)

    def replace(self, inodes: Iterable[int], names: Iterable[Name]) -> None:
        """Forget these instead of all that is waiting."""
        with self._work:
            self._inodes = set(inodes)
            self._names = set(names)
            self._work.notify()

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._is_stopping or self._inodes or self._names)
                inodes, names = self._inodes, self._names
                self._inodes, self._names = set(), set()
            for inode in inodes:
                self._tell(self._notifier.forget_inode, inode)
            for directory, name in names:
                self._tell(self._notifier.forget_name, directory, name)
            if self._is_stopping:
                return

    def _tell(self, call: Callable[..., None], *what: object) -> None:
        if self._is_stopping:
            return
        try:
            call(*what)
        except FileNotFoundError:
            pass  # the kernel had forgotten by itself
        except OSError as error:
            if not self._is_stopping:
                log.warning(
                    "the kernel did not forget an entry; it may show old attributes for a second",
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
        inodes: list[int] = []
        names: list[Name] = []
        for change in changes:
            before = change.before
            number = kernel_inode(change.inode)
            if before is None or change.inode == ROOT_INODE or number not in self._lookups:
                continue
            inodes.append(number)
            if _has_left(before, change.after):
                names.append((kernel_inode(before.parent), before.name))
        if inodes and self._invalidator is not None:
            waiting = self._invalidator.add(inodes, names)
            if waiting > NAMES_WAITING_MAX:
                self._invalidator.replace(*self._everything_known())

    def forget_all(self) -> None:
        """Have the kernel forget everything: modes have changed, or the tree is another."""
        self._attributes.drop_all()
        self._open_files.follow_tree(self._find)
        if self._invalidator is not None:
            self._invalidator.replace(*self._everything_known())

    def _everything_known(self) -> tuple[list[int], list[Name]]:
        known = list(self._lookups)
        return (
            [inode for inode, _ in known],
            [(where.parent, where.name) for _, where in known],
        )


def _has_left(before: Entry, after: Entry | None) -> bool:
    """Whether an entry is no longer where it was."""
    return after is None or (after.parent, after.name) != (before.parent, before.name)
