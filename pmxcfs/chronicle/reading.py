"""What the history tells of a file: its revisions, and what was in it.

Source: docs/PROTOCOL.md, "History".
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw

from pmxcfs.chronicle.schema import ForeignHistoryError, open_history

_COLUMNS = "id, time_s, version, writer, action, path, target, size, is_sync, digest, replaced"
_ALL = f"SELECT {_COLUMNS} FROM changes ORDER BY id DESC LIMIT ?1"
_NEAR = f"""
SELECT {_COLUMNS} FROM changes
WHERE path = ?2 OR (path > ?3 AND path < ?4) OR target = ?2 OR (target > ?3 AND target < ?4)
ORDER BY id DESC LIMIT ?1
"""
_OF = f"SELECT {_COLUMNS} FROM changes WHERE path = ?1 OR target = ?1 ORDER BY id"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change as it was recorded.

    Attributes:
        revision: its number in this node's history.
        digest: SHA-256 of the file's content after it; None for directories and what is gone.
        replaced: SHA-256 of the content before it; None if there was none.
    """

    revision: int
    time_s: int
    version: int
    writer: int | None
    action: str
    path: bytes
    target: bytes | None
    size: int | None
    is_sync: bool
    digest: bytes | None
    replaced: bytes | None


class UnknownRevisionError(Exception):
    """There is no such revision, or its content is no longer kept; the text says which."""


class History:
    """A history that is open for reading."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def changes(self, path: bytes, count: int) -> list[Recorded]:
        """Return the last changes of what is at a path and below it, the newest first.

        Args:
            path: empty for the whole tree.
            count: how many at most.
        """
        near = (count, path, path + b"/", path + b"0")  # what begins with a slash is between
        statement, values = (_NEAR, near) if path else (_ALL, near[:1])
        return [_recorded(row) for row in self._connection.execute(statement, values)]

    def revisions(self, path: bytes) -> list[Recorded]:
        """Return what was done to the file at a path, the oldest first.

        A file that was renamed onto it, and what that replaced, are one revision.
        """
        found: list[Recorded] = []
        for row in self._connection.execute(_OF, (path,)):
            item = _recorded(row)
            last = found[-1] if found else None
            if item.action == "rename" and item.target == path:
                has_replaced = last is not None and _was_replaced(last, item)
                item = replace(item, replaced=found.pop().replaced if has_replaced else None)
            elif item.action == "rename":
                item = _as_moved_away(item)
            found.append(item)
        return found

    def content(self, digest: bytes) -> bytes:
        """Return a content.

        Raises:
            UnknownRevisionError: it is no longer kept, or never was.
        """
        row: bytes | None = self._connection.execute(
            "SELECT packed FROM contents WHERE digest = ?", (digest,)
        ).get
        if row is None:
            raise UnknownRevisionError("its content is no longer kept: the history is too small")
        return zlib.decompress(row)


@contextmanager
def reading(path: Path) -> Iterator[History]:
    """Open a history for reading, also while a daemon writes it, or while none runs.

    Raises:
        FileNotFoundError: there is none.
        PermissionError: we may not read it.
        ForeignHistoryError: it is damaged, or of another form, or can't be read.
    """
    path.open("rb").close()
    try:
        connection = open_history(path, is_writer=False)
        try:
            yield History(connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise ForeignHistoryError(f"{type(error).__name__}: {error}") from error


def _recorded(row: tuple[Any, ...]) -> Recorded:
    revision, time_s, version, writer, action, path, target, size, is_sync, *digests = row
    digest, replaced = digests
    return Recorded(
        *(revision, time_s, version, writer, action, path, target, size, bool(is_sync)),
        digest=digest,
        replaced=replaced,
    )


def _was_replaced(gone: Recorded, by: Recorded) -> bool:
    """Whether something was removed because another was renamed onto it."""
    return gone.action == "delete" and gone.version == by.version


def _as_moved_away(item: Recorded) -> Recorded:
    """Return a rename as its old place sees it: what was there is gone."""
    return replace(item, digest=None, size=None, replaced=item.digest)
