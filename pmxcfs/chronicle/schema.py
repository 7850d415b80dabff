"""The tables of the history, and how its file is opened.

Source: docs/PROTOCOL.md, "History".
"""

from pathlib import Path

import apsw

FORMAT = 1
"""The ``user_version`` of a file of this form."""

BUSY_TIMEOUT_MS = 5000

CREATE = f"""
CREATE TABLE IF NOT EXISTS changes (
  id INTEGER PRIMARY KEY,
  time_s INTEGER NOT NULL,
  version INTEGER NOT NULL,
  writer INTEGER,
  action TEXT NOT NULL,
  path BLOB NOT NULL,
  target BLOB,
  size INTEGER,
  is_sync INTEGER NOT NULL,
  digest BLOB,
  replaced BLOB);
CREATE INDEX IF NOT EXISTS changes_by_path ON changes (path, id);
CREATE INDEX IF NOT EXISTS changes_by_target ON changes (target, id) WHERE target IS NOT NULL;
CREATE TABLE IF NOT EXISTS contents (
  digest BLOB PRIMARY KEY,
  last_id INTEGER NOT NULL,
  packed BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contents_by_age ON contents (last_id);
PRAGMA user_version = {FORMAT};
"""


class ForeignHistoryError(Exception):
    """The file is no history of ours, or is damaged; the text says why."""


def open_history(path: Path, *, is_writer: bool) -> apsw.Connection:
    """Open the file, for the daemon or to look at it; only a writer makes it if it is missing.

    Raises:
        ForeignHistoryError: it is damaged, or of another form.
        apsw.Error: it can't be opened or made.
    """
    # A reader of a log in shared memory has to be able to write to that.
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if is_writer else 0)
    connection = apsw.Connection(str(path), flags)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        _check_form(connection)
        if is_writer:
            connection.pragma("auto_vacuum", "incremental")
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "off")
            connection.pragma("secure_delete", "on")
            connection.execute(CREATE)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        connection.close(True)
        raise ForeignHistoryError(str(error)) from error
    except (apsw.Error, ForeignHistoryError):
        connection.close(True)
        raise
    return connection


def _check_form(connection: apsw.Connection) -> None:
    found = connection.pragma("user_version")
    if found not in (0, FORMAT):
        raise ForeignHistoryError(f"it has the form {found}, and only {FORMAT} is known")
