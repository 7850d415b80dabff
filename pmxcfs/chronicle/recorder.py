"""Writes the history in a thread, some changes at a time; a slow disk costs history alone."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import structlog

from pmxcfs.chronicle.store import HistoryStore
from pmxcfs.tap import Missed, Seen

log = structlog.get_logger("main")

GATHER_S = 1.0
"""Changes of about this long share a transaction."""

QUEUE_MAX = 20_000
QUEUE_BYTES_MAX = 64 * 2**20
END_S_MAX = 2.0

_OVERHEAD_BYTES = 500


class HistoryRecorder:
    """A thread with a bounded queue; what does not fit is counted, and told in the history.

    Args:
        open_store: opens the history, in the thread; raises OSError or apsw.Error.
        gather_s: how long changes are gathered.

    Attributes:
        written: how many changes are in the history.
        missed: how many are not.
    """

    def __init__(
        self, open_store: Callable[[], HistoryStore], *, gather_s: float = GATHER_S
    ) -> None:
        self.written = 0
        self.missed = 0
        self._open_store = open_store
        self._gather_s = gather_s
        self._store: HistoryStore | None = None
        self._queue: deque[Seen] = deque()
        self._queued_bytes = 0
        self._untold = 0
        self._complaint = ""
        self._is_stopping = False
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Write what waits, and wait for the thread; false means that it did not end in time."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def put(self, seen: Seen) -> None:
        """Have a change written; never blocks."""
        size = _size_bytes(seen)
        with self._work:
            if self._untold or not self._has_room(size):
                self._miss(1)
                return
            is_first = not self._queue
            self._queue.append(seen)
            self._queued_bytes += size
            if is_first:
                self._work.notify()

    def _has_room(self, size: int) -> bool:
        is_short = len(self._queue) < QUEUE_MAX
        return is_short and self._queued_bytes + size <= QUEUE_BYTES_MAX

    def _miss(self, count: int) -> None:
        self._untold += count
        self.missed += count

    def _run(self) -> None:
        self._write([], 0)  # to see whether it can be written, before there is anything to lose
        while True:
            with self._work:
                self._work.wait_for(lambda: self._is_stopping or self._queue or self._untold)
                self._work.wait_for(lambda: self._is_stopping, timeout=self._gather_s)
                batch, untold = list(self._queue), self._untold
                self._queue.clear()
                self._queued_bytes = self._untold = 0
                is_last = self._is_stopping
            if batch or untold:
                self._write(batch, untold)
            if is_last:
                break
        if self._store is not None:
            self._store.close()

    def _write(self, batch: list[Seen], untold: int) -> None:
        """Write a batch and what was missed after it; what cannot be written is missed too."""
        try:
            if self._store is None:
                self._store = self._open_store()
            self._store.append([*batch, Missed(untold)] if untold else batch)
        except (OSError, apsw.Error) as error:
            with self._work:
                self._untold += len(batch) + untold
                self.missed += len(batch)
            self._complain(f"{type(error).__name__}: {error}")
        else:
            self.written += len(batch)
            self._complain("")

    def _complain(self, reason: str) -> None:
        """Say once that it fails, and once that it works again."""
        if reason and not self._complaint:
            log.warning("the history of changes cannot be written", reason=reason)
        elif self._complaint and not reason:
            log.info("the history of changes is written again", missed=self.missed)
        self._complaint = reason


@contextmanager
def history_recorded(path: Path, budget_bytes: int) -> Iterator[HistoryRecorder | None]:
    """Record for as long as the block lasts, unless there is no budget for it."""
    if not budget_bytes:
        yield None
        return
    recorder = HistoryRecorder(lambda: HistoryStore(path, budget_bytes))
    recorder.start()
    try:
        yield recorder
    finally:
        if not recorder.stop(END_S_MAX):
            log.warning("the last changes may be missing in the history")


def _size_bytes(seen: Seen) -> int:
    return _OVERHEAD_BYTES + len(seen.content or b"") + len(seen.replaced or b"")
