"""What is kept beside the database: trees that a synchronisation dropped, and a mark.

A kept tree is a whole database with a dated name, ``config.db.lost-20261122T203000`` (UTC); the
newest ten stay. The mark, ``config.db.unshared``, is there while this node has changes that no
other node may have; it holds the version of the tree with the first of them.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path

import structlog

from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.memdb.entry import Entry

log = structlog.get_logger("database")

KEPT_MAX = 10
_DATE = "%Y%m%dT%H%M%S"
_SUFFIXES_OF_A_DATABASE = ("", "-wal", "-shm", "-journal")


class LostTrees:
    """The files beside one database.

    Args:
        database: path of the database in use.
        write: makes a new database at a path out of a tree's entries; raises StorageError.
    """

    def __init__(self, database: Path, write: Callable[[Path, Iterable[Entry]], None]) -> None:
        self._prefix = f"{database.name}.lost-"
        self._directory = database.parent
        self._mark = database.with_name(f"{database.name}.unshared")
        self._write = write
        self._last: Sequence[Entry] | None = None
        self._marked: int | None = self.unshared_since()

    def keep(self, entries: Sequence[Entry], now_s: int) -> None:
        """Keep a whole tree under the date of ``now_s``; again with the same one, do nothing.

        Raises:
            TemporaryStorageError: the disk is full.
            StorageError: it cannot be written.
        """
        if entries is self._last:
            return
        path = self._free_path(now_s)
        draft = path.with_name(f"{path.name}.new")
        try:
            self._remove(draft)
            self._write(draft, entries)
            draft.rename(path)
            self._drop_old()
        except (OSError, StorageError) as error:
            with suppress(OSError):
                self._remove(draft)
            raise _as_storage_error(path, error) from error
        self._last = entries
        log.warning("kept our own tree as it was before the synchronisation", path=str(path))

    def kept(self) -> list[Path]:
        """Return the kept databases, the oldest first."""
        names = [path for path in self._directory.glob(f"{self._prefix}*") if _is_whole(path)]
        return sorted(names)

    def mark_unshared(self, version: int | None) -> None:
        """Remember the version, or that there is none; a failure is logged, it stops no change."""
        if version == self._marked:
            return
        try:
            if version is None:
                self._mark.unlink(missing_ok=True)
            else:
                draft = self._mark.with_name(f"{self._mark.name}.new")
                draft.write_text(f"{version}\n")
                draft.chmod(0o600)
                draft.rename(self._mark)
            self._marked = version
        except OSError as error:
            log.warning(
                "cannot remember which changes are ours alone",
                path=str(self._mark),
                error=error.strerror,
            )

    def unshared_since(self) -> int | None:
        """Return the version that was remembered; 1 if the mark is there but makes no sense."""
        try:
            text = self._mark.read_text()
        except FileNotFoundError:
            return None
        except OSError:
            return 1
        return int(text) if text.strip().isdecimal() else 1

    def _free_path(self, now_s: int) -> Path:
        while True:
            path = self._directory / (self._prefix + time.strftime(_DATE, time.gmtime(now_s)))
            if not path.exists():
                return path
            now_s += 1

    def _drop_old(self) -> None:
        for path in self.kept()[:-KEPT_MAX]:
            self._remove(path)

    def _remove(self, path: Path) -> None:
        for suffix in _SUFFIXES_OF_A_DATABASE:
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    try:
        time.strptime(path.name.rpartition(".lost-")[2], _DATE)
    except ValueError:
        return False
    return True


def _as_storage_error(path: Path, error: OSError | StorageError) -> StorageError:
    sentence = f"cannot keep our tree as {path}: {error}"
    is_full = isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT)
    if is_full or isinstance(error, TemporaryStorageError):
        return TemporaryStorageError(sentence)
    return StorageError(sentence)
