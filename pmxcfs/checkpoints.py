"""Keeps the write-ahead log short, in a thread: a checkpoint waits for the disk.

SQLite by itself would do it within a commit, and so on the event loop.
"""

import threading
from collections.abc import Callable
from errno import EDQUOT, ENOSPC
from pathlib import Path
from time import perf_counter_ns

import apsw
import structlog
import trio

from pmxcfs.errors import StorageError
from pmxcfs.tallies import Durations

log = structlog.get_logger("database")

BYTES_DUE = 4_000_000
"""So much more in the log makes a checkpoint worth its while; so it is with SQLite by itself."""

BYTES_MAX = 16_000_000
"""With so much, commits wait for a checkpoint: while they come, the log does not begin anew."""

HOLD_S_MAX = 2
"""How long commits wait for it: a disk that takes longer slows changes down, it refuses none."""

BYTES_ALARMING = 64_000_000

LOCK_WAIT_MS = 100
ENDING_S_MAX = 2

_NO_ROOM = (ENOSPC, EDQUOT)


class Checkpoints:
    """Brings the log into the file when it has grown, over a connection of its own.

    The log begins anew with the first commit after a checkpoint that found everything in it,
    unless somebody reads the database at that time.

    Args:
        path: the database.
        on_failure: told when the disk refused a checkpoint in a way that makes it unreliable.

    Attributes:
        durations: of the checkpoints, however they ended.
        size_bytes: what is in the log.
        written_bytes: what was added to it so far.
    """

    def __init__(self, path: Path, on_failure: Callable[[StorageError], None]) -> None:
        self._path = path
        self._on_failure = on_failure
        self._connection: apsw.Connection | None = None
        self.durations = Durations()
        self.size_bytes = 0
        self.written_bytes = 0
        self._due_at = BYTES_DUE
        self._stop_at = BYTES_MAX
        self._held_until_s = 0.0
        self._is_warned = False
        self._wanted = trio.Event()
        self._is_idle = threading.Event()
        self._is_idle.set()

    @property
    def has_room(self) -> bool:
        """Whether the log may grow; else a checkpoint comes first, unless it takes too long."""
        return not self._is_full or trio.current_time() >= self._held_until_s

    def note_size(self, size_bytes: int) -> None:
        """Hear how long the log is, after each commit."""
        grown_bytes = size_bytes - self.size_bytes
        self.written_bytes += grown_bytes if grown_bytes >= 0 else size_bytes
        if grown_bytes < 0:
            self._due_at, self._stop_at, self._is_warned = BYTES_DUE, BYTES_MAX, False
        elif self._is_full:  # whoever committed this had waited long enough
            self._stop_at = size_bytes + BYTES_DUE
        self.size_bytes = size_bytes
        if self._is_full:
            self._held_until_s = trio.current_time() + HOLD_S_MAX
        if size_bytes >= self._due_at or self._is_full:
            self._wanted.set()
        if size_bytes >= BYTES_ALARMING and not self._is_warned:
            self._is_warned = True
            log.warning(
                "the write-ahead log grows: somebody who reads the database keeps it from "
                "beginning anew, or the disk is slow",
                size_bytes=size_bytes,
            )

    @property
    def _is_full(self) -> bool:
        return self.size_bytes >= self._stop_at

    async def run(self) -> None:
        """Do what is due. Runs until cancelled, and lets a checkpoint end first if it hurries."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                await self._checkpoint()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._is_idle.wait, ENDING_S_MAX)
            if self._connection is not None and self._is_idle.is_set():
                self._connection.close()

    async def _checkpoint(self) -> None:
        was_full = self._is_full
        self._is_idle.clear()
        began_ns = perf_counter_ns()
        try:
            await trio.to_thread.run_sync(self._work, abandon_on_cancel=True)
        except apsw.Error as error:
            self._note_failure(error)
        self.durations.note(perf_counter_ns() - began_ns)
        if self._is_full and not was_full:
            return  # the next one is wanted already, and nobody adds to the log now
        self._wanted = trio.Event()
        self._due_at = self.size_bytes + BYTES_DUE
        if was_full:  # to no avail, unless the log begins anew now
            self._stop_at = max(self._due_at, BYTES_MAX)

    def _note_failure(self, error: apsw.Error) -> None:
        """Go on if it may work next time; else what is in the log may never reach the disk."""
        sentence = f"{type(error).__name__}: {error}"
        is_full = self._connection is not None and self._connection.system_errno in _NO_ROOM
        if is_full or isinstance(error, apsw.BusyError | apsw.FullError):
            log.warning("a checkpoint has to wait", error=sentence)
        else:
            self._on_failure(StorageError(f"a checkpoint failed: {sentence}"))

    def _work(self) -> None:
        """Do a checkpoint, in a thread."""
        try:
            if self._connection is None:
                self._connection = apsw.Connection(str(self._path), apsw.SQLITE_OPEN_READWRITE)
                self._connection.set_busy_timeout(LOCK_WAIT_MS)
                self._connection.pragma("synchronous", "normal")
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self._is_idle.set()
