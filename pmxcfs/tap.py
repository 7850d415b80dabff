"""Tells whoever watches of each change, once it is on the disk; costs nothing while nobody does.

A watcher has a bounded queue and is never waited for: what does not fit is counted, and the watcher
is told how much it missed.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import trio

from pmxcfs.dcdb import Commit
from pmxcfs.dfsm.effects import Effect
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, Inode
from pmxcfs.memdb.tree import Tree

QUEUE_MAX = 1024
"""How many changes wait for one watcher."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one entry, for people.

    Attributes:
        action: create, mkdir, write, touch, rename or delete.
        path: of the entry; of a renamed one the old path.
        target: the new path of a renamed entry, else None.
        size: of the file in bytes; None for directories and what is gone.
        version: the tree's after the change.
        writer: node id of who made it; None if a synchronisation leaves that open.
        time_s: when this node took it in, UNIX seconds.
        is_sync: whether it came with a synchronisation.
        content: what is in the file now; None for directories and what is gone.
        replaced: what was in the file before; None if nothing was.
    """

    action: str
    path: bytes
    target: bytes | None
    size: int | None
    version: int
    writer: int | None
    time_s: int
    is_sync: bool
    content: bytes | None = None
    replaced: bytes | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """So many changes did not fit into the queue."""

    count: int


class Watcher:
    """One who watches a part of the tree.

    Args:
        path: what to watch, with all below it; empty for all.
        hides: tells which paths must not be shown to this watcher.
    """

    def __init__(self, path: bytes, hides: Callable[[bytes], bool]) -> None:
        self._path = path
        self._hides = hides
        self._queue: deque[Seen] = deque()
        self._missed = 0
        self._news = trio.Event()

    def put(self, seen: Seen) -> None:
        """Take a change, or count it if there is no room."""
        shown = self._view(seen)
        if shown is None:
            return
        if self._missed or len(self._queue) >= QUEUE_MAX:
            self._missed += 1
        else:
            self._queue.append(shown)
        self._news.set()

    async def take(self) -> list[Seen | Missed]:
        """Wait until there is something; return all of it, in order."""
        await self._news.wait()
        self._news = trio.Event()
        news: list[Seen | Missed] = [*self._queue]
        if self._missed:
            news.append(Missed(self._missed))
        self._queue.clear()
        self._missed = 0
        return news

    def _view(self, seen: Seen) -> Seen | None:
        """Return what of a change may be shown; an entry that is moved out of sight is deleted."""
        target = None if seen.target is None or self._hides(seen.target) else seen.target
        if self._hides(seen.path):
            if target is None:
                return None
            seen = replace(seen, action="create", path=target, target=None)
        elif seen.target is not None and target is None:
            seen = replace(seen, action="delete", target=None, size=None)
        is_near = any(map(self._is_below, filter(None, (seen.path, seen.target))))
        return seen if is_near else None

    def _is_below(self, path: bytes) -> bool:
        return not self._path or path == self._path or path.startswith(self._path + b"/")


class Tap:
    """All who watch one tree.

    Args:
        tree: returns the present tree, to which all changes are applied already.
        clock: returns UNIX seconds.
    """

    def __init__(self, tree: Callable[[], Tree], clock: Callable[[], int]) -> None:
        self._tree = tree
        self._clock = clock
        self._watchers: list[Watcher] = []
        self._recorders: list[Callable[[Seen], None]] = []

    def attach(self, record: Callable[[Seen], None]) -> None:
        """Tell somebody of every change for as long as the daemon runs; it must not block."""
        self._recorders.append(record)

    def __len__(self) -> int:
        """Count the watchers."""
        return len(self._watchers)

    @contextmanager
    def watched(self, path: bytes, hides: Callable[[bytes], bool]) -> Iterator[Watcher]:
        """Watch for as long as the block lasts."""
        watcher = Watcher(path, hides)
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)

    def take(self, effects: Sequence[Effect]) -> None:
        """Hand on the changes among performed effects; never blocks."""
        if not self._watchers and not self._recorders:
            return
        commits = [effect for effect in effects if isinstance(effect, Commit)]
        gone = {
            change.before.inode: change.before
            for commit in commits
            for change in commit.changes
            if change.before is not None and change.after is None
        }
        for commit in commits:
            for seen in self._seen(commit, gone):
                for watcher in self._watchers:
                    watcher.put(seen)
                for record in self._recorders:
                    record(seen)

    def _seen(self, commit: Commit, gone: Mapping[Inode, Entry]) -> Iterator[Seen]:
        tree, now_s = self._tree(), self._clock()
        roots = [change.after for change in commit.changes if change.inode == ROOT_INODE]
        root = next((root for root in roots if root is not None), tree.root)
        for change in commit.changes:
            action = _action_of(change)
            if change.inode == ROOT_INODE or action is None:
                continue
            before, after = change.before, change.after
            first = before if before is not None else after
            assert first is not None, "a change has at least one side"
            stamp = after if after is not None else root
            yield Seen(
                action=action,
                path=_path_of(first, tree, gone),
                target=_path_of(after, tree, gone) if action == "rename" and after else None,
                size=None if after is None or after.is_directory else after.size,
                version=stamp.version,
                writer=None if commit.is_copy and after is None else stamp.writer,
                time_s=now_s,
                is_sync=commit.is_copy,
                content=_content_of(after),
                replaced=_content_of(before),
            )


def _content_of(entry: Entry | None) -> bytes | None:
    if entry is None or entry.is_directory:
        return None
    return entry.data or bytes(entry.size)  # a file may have a size and no data: zeros


def _action_of(change: Change) -> str | None:
    before, after = change.before, change.after
    if after is None:
        return "delete"
    if before is None:
        return "mkdir" if after.is_directory else "create"
    if (before.parent, before.name) != (after.parent, after.name):
        return "rename"
    if (before.size, before.data) != (after.size, after.data):
        return "write"
    return "touch" if before != after else None


def _path_of(entry: Entry, tree: Tree, gone: Mapping[Inode, Entry]) -> bytes:
    """Return an entry's path; what held it may be gone in the meantime."""
    names = [entry.name]
    while entry.parent != ROOT_INODE:
        parent = tree.get(entry.parent) or gone.get(entry.parent)
        if parent is None:
            break
        entry = parent
        names.append(entry.name)
    return b"/".join(reversed(names))
