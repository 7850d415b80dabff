"""Writes the history and keeps it within its budget. All methods wait for the disk.

Losing power may lose the last seconds of it; the file itself stays sound, or is set aside and begun
anew. What it says is never needed to run.
"""

import os
import time
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import structlog

from pmxcfs.chronicle.schema import ForeignHistoryError, open_history
from pmxcfs.tap import Missed, Seen

log = structlog.get_logger("main")

ROW_BYTES = 250
"""About what a change takes without content, in its table and its indexes."""

ROWS_SHARE = 0.25
"""The part of the budget that changes may have; the rest is for contents, which go first."""

FULL_SHARE = 0.9
"""Once over the budget it is cut to this part of it, so that it is not cut all the time."""

_PACKING_LEVEL = 1

_INSERT = "INSERT INTO changes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KEEP = """
INSERT INTO contents VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET last_id = excluded.last_id
"""
_OLDEST = "SELECT digest, length(packed) FROM contents ORDER BY last_id"
_USED = """
SELECT (SELECT count(*) FROM changes), (SELECT coalesce(sum(length(packed)), 0) FROM contents)
"""


class HistoryStore:
    """The open file; only one thread may use it.

    Args:
        path: it is made if it is missing, readable for its owner only.
        budget_bytes: how large it may become, about.

    Attributes:
        rows: how many changes it has.
        content_bytes: how much the contents in it take.
    """

    def __init__(self, path: Path, budget_bytes: int) -> None:
        self._rows_max = max(1, int(budget_bytes * ROWS_SHARE) // ROW_BYTES)
        self._content_bytes_max = int(budget_bytes * (1 - ROWS_SHARE))
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        try:
            self._connection = open_history(path, is_writer=True)
        except ForeignHistoryError as error:
            _set_aside(path, error)
            self._connection = open_history(path, is_writer=True)
        path.chmod(0o600)
        self.rows, self.content_bytes = self._connection.execute(_USED).get

    def append(self, news: Iterable[Seen | Missed]) -> None:
        """Add changes, in order, in one transaction; then let go of what is too old.

        Raises:
            apsw.Error: nothing of it was written.
        """
        with self._connection:
            for item in news:
                self._add(item)
            self._cut_rows()
            self._cut_contents()
        if self._connection.pragma("freelist_count"):
            self._connection.execute("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Close it."""
        self._connection.close(True)

    def _add(self, item: Seen | Missed) -> None:
        self.rows += 1
        if isinstance(item, Missed):
            values = (int(time.time()), 0, None, "missed", b"", None, item.count, False, None, None)
            self._connection.execute(_INSERT, values)
            return
        digest, replaced = _digest(item.content), _digest(item.replaced)
        what = (item.time_s, item.version, item.writer, item.action, item.path, item.target)
        self._connection.execute(_INSERT, (*what, item.size, item.is_sync, digest, replaced))
        number = self._connection.last_insert_rowid()
        for key, content in ((replaced, item.replaced), (digest, item.content)):
            if key is not None and content is not None:
                self._keep(key, content, number)

    def _keep(self, digest: bytes, content: bytes, number: int) -> None:
        known = "UPDATE contents SET last_id = ? WHERE digest = ?"
        self._connection.execute(known, (number, digest))
        if not self._connection.changes():
            packed = zlib.compress(content, _PACKING_LEVEL)
            self._connection.execute(_KEEP, (digest, number, packed))
            self.content_bytes += len(packed)

    def _cut_contents(self) -> None:
        if self.content_bytes <= self._content_bytes_max:
            return
        gone = []
        for digest, size in self._connection.execute(_OLDEST):
            if self.content_bytes <= self._content_bytes_max * FULL_SHARE:
                break
            gone.append((digest,))
            self.content_bytes -= size
        self._connection.executemany("DELETE FROM contents WHERE digest = ?", gone)

    def _cut_rows(self) -> None:
        if self.rows <= self._rows_max:
            return
        surplus = self.rows - int(self._rows_max * FULL_SHARE)
        oldest = "SELECT id FROM changes ORDER BY id LIMIT 1 OFFSET ?"
        first_kept = self._connection.execute(oldest, (surplus,)).get
        self._connection.execute("DELETE FROM changes WHERE id < ?", (first_kept,))
        self.rows -= self._connection.changes()


def _digest(content: bytes | None) -> bytes | None:
    return None if content is None else sha256(content).digest()


def _set_aside(path: Path, reason: ForeignHistoryError) -> None:
    aside = path.with_name(f"{path.name}.unusable-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        found = path.with_name(path.name + suffix)
        if found.exists():
            found.rename(aside.with_name(aside.name + suffix))
    log.warning("the history cannot be used; a new one begins", kept=aside, reason=str(reason))
