"""Our daemon with a bug: `python -m pmxcfs_lab.runs.planted BUG [options of pmxcfs]`.

Every bug breaks one claim; a validator that does not find it is of no use. The daemon itself knows
nothing of this: the bugs are put into the process from here, in the lab only.
"""

import itertools
import os
import socket
import sys
from collections.abc import Callable
from errno import EEXIST
from typing import Any

from pmxcfs.__main__ import main as run_daemon
from pmxcfs.compiled import INTERPRETED
from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.changes import Changes
from pmxcfs.ipc.handlers import Handlers
from pmxcfs.lost_trees import LostTrees
from pmxcfs.memdb.entry import Inode
from pmxcfs.memdb.guests import GuestList
from pmxcfs.memdb.locks import LockTable
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Operation, Rename, Write
from pmxcfs.stepping import Promise

Method = Callable[..., Any]

LOCKS = b"priv/lock/"
BEGINNING = 60
"""So many changes go well before the bugs show that would not let a lab come up."""


def replace(owner: type, name: str, make: Callable[[Method], Method]) -> None:
    """Put what `make` makes of a method in its place."""
    setattr(owner, name, make(getattr(owner, name)))


def forget_some_renames() -> None:
    """Say that a draft is renamed, and do not do it."""
    turn = itertools.count(1)

    def make(rename: Method) -> Method:
        async def forgetful(self: Changes, parent: Inode, name: bytes, *target: object) -> None:
            if not name.startswith(b"draft") or next(turn) % 20:
                await rename(self, parent, name, *target)

        return forgetful

    replace(Changes, "rename", make)


def answer_with_old_content() -> None:
    """Give clients of the local service what a file was, now and then."""
    turn = itertools.count(1)
    first: dict[bytes, bytes] = {}

    def make(content: Method) -> Method:
        def old(self: Handlers, path: bytes) -> bytes | None:
            found: bytes | None = content(self, path)
            if found is not None:
                first.setdefault(path, found)
            return found if next(turn) % 3 else first.get(path, found)

        return old

    replace(Handlers, "_content", make)


def break_locks_at_once() -> None:
    """Give a lock to whoever asks for it next, as if each had been left behind long ago."""
    replace(LockTable, "has_expired", lambda _: lambda *_: True)


def refuse_a_node_all_locks() -> None:
    """Let node 3 never get a lock."""
    if socket.gethostname() != "node3":
        return

    def make(mkdir: Method) -> Method:
        async def unfair(self: Changes, parent: Inode, name: bytes) -> object:
            if self._path(parent, name).startswith(LOCKS):
                raise OperationError(EEXIST)
            return await mkdir(self, parent, name)

        return unfair

    replace(Changes, "mkdir", make)


def register_no_guest() -> None:
    """Allow a second configuration of a number."""
    replace(GuestList, "conflicts_with", lambda _: lambda *_: False)


def set_other_times() -> None:
    """Let node 2 believe that some files are a second younger."""
    if socket.gethostname() != "node2":
        return
    turn = itertools.count(1)

    def make(apply: Method) -> Method:
        def unequal(
            self: Memdb, operation: Operation, writer: int, time: int, now_s: int
        ) -> object:
            is_later = next(turn) > BEGINNING and isinstance(operation, Rename | Write)
            return apply(self, operation, writer, time + is_later, now_s)

        return unequal

    replace(Memdb, "apply", make)


def keep_no_lost_tree() -> None:
    """Let what was written alone vanish."""
    replace(LostTrees, "keep", lambda _: lambda *_: None)


def leave_a_change_without_answer() -> None:
    """Take one change, and never answer it."""
    turn = itertools.count(1)

    def make(submit: Method) -> Method:
        async def deaf(self: Driver, operation: Operation) -> object:
            if next(turn) == BEGINNING:
                await Promise[None]()
            return await submit(self, operation)

        return deaf

    replace(Driver, "submit", make)


def abort() -> None:
    """End node 2 by SIGABRT."""
    if socket.gethostname() != "node2":
        return
    turn = itertools.count(1)

    def make(submit: Method) -> Method:
        async def mortal(self: Driver, operation: Operation) -> object:
            if next(turn) == BEGINNING:
                os.abort()
            return await submit(self, operation)

        return mortal

    replace(Driver, "submit", make)


BUGS: dict[str, Callable[[], None]] = {
    "survival": forget_some_renames,
    "monotony": answer_with_old_content,
    "holders": break_locks_at_once,
    "progress": refuse_a_node_all_locks,
    "guests": register_no_guest,
    "equality": set_other_times,
    "keeping": keep_no_lost_tree,
    "bounds": leave_a_change_without_answer,
    "crashes": abort,
}
"""By the validator that must find it."""


def main() -> None:
    """Plant a bug, then be the daemon; what is compiled takes none."""
    os.environ[INTERPRETED] = "1"
    BUGS[sys.argv.pop(1)]()
    run_daemon()


if __name__ == "__main__":
    main()
