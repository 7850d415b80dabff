"""The database file: one table with a row for every entry, in the reference's form.

This is the only module that may open the file. A second SQLite library in the process, or anything
else that opens and closes the file or its ``-shm``, would drop the locks that keep outside readers
from deleting the write-ahead log under us.
"""

import shlex
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Protocol

import apsw

from pmxcfs import rows, vetting
from pmxcfs.database_files import DatabaseFiles, make_private, set_aside_an_orphaned_log
from pmxcfs.errors import DamagedDatabaseError, StorageError, TemporaryStorageError
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, EntryType, merged
from pmxcfs.memdb.tree import Tree
from pmxcfs.rows import ROOT_NAME, Row, columns_of, entry_of, signed

BUSY_TIMEOUT_MS = 10_000
"""How long opening waits for somebody who has locked the database, as in the reference."""

FREE_BYTES_MIN = 4 * 1024 * 1024
"""A disk that was full is no longer: it takes the largest file, twice, with its pages' overhead."""

PAGE_BYTES = 1024
"""Of a new database; one that is there keeps its own. A change alters two rows of a few hundred
bytes, and the write-ahead log takes whole pages: see docs/decisions/0019-small-pages.md."""

LOG_PAGE_HEADER_BYTES = 24
"""What the write-ahead log adds to each page."""

LOG_BYTES_MAX = 16 * 1024 * 1024
"""To what the write-ahead log is cut when it begins anew, had it grown beyond."""

_NO_ROOM = (ENOSPC, EDQUOT)
_SIGNS_OF_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.TooBigError)


class LogKeeper(Protocol):
    """Who brings the write-ahead log into the file before it becomes long."""

    @property
    def has_room(self) -> bool:
        """Whether the log may grow at this moment."""

    def note_size(self, size_bytes: int) -> None:
        """Hear how long the log is; called after each commit."""


class Database:
    """The open database. Not to be carried over a fork.

    Attributes:
        was_new: whether it had no rows when it was opened.

    Source: docs/PROTOCOL.md, "Database".
    """

    def __init__(
        self, connection: apsw.Connection, now_s: int, path: Path = Path(":memory:")
    ) -> None:
        self._connection = connection
        self._path = path
        self._files: DatabaseFiles | None = None
        self._keeper: LogKeeper | None = None
        self._is_disk_full = False
        self._execute(rows.CREATE_TABLE)
        self.was_new = not self._rows("SELECT 1 FROM tree LIMIT 1")
        self._is_pristine = self.was_new
        if self.was_new:
            row = (ROOT_INODE, ROOT_INODE, 1, 0, now_s, EntryType.FILE, ROOT_NAME, None)
            self._execute(rows.INSERT, row)

    @classmethod
    def open(cls, path: Path, now_s: int) -> "Database":
        """Open the database, and make it if it is missing.

        Args:
            path: the file; ``-wal`` and ``-shm`` files appear beside it while it is open.
            now_s: the clock, seconds since 1970, for the stamp of a new database.

        Raises:
            StorageError: it cannot be opened or made, or is damaged, or no database of ours; then
                the sentence names the commands that show and repair it.
        """
        try:
            make_private(path)
            set_aside_an_orphaned_log(path, now_s)
            connection = apsw.Connection(str(path))
        except (OSError, apsw.Error) as error:
            raise StorageError(f"cannot open {path}: {error}") from error
        try:
            _vet(connection)
            _prepare(connection)
            database = cls(connection, now_s, path)
            database._serve()
        except (*_SIGNS_OF_DAMAGE, DamagedDatabaseError) as error:
            connection.close(True)
            raise _refusal(path, error) from error
        except (apsw.Error, OSError, StorageError) as error:
            connection.close(True)
            raise StorageError(f"cannot use {path}: {error}") from error
        return database

    @classmethod
    def in_memory(cls, now_s: int = 0) -> "Database":
        """Return a new database that lives as long as this object."""
        return cls(apsw.Connection(":memory:"), now_s)

    def load(self) -> Tree:
        """Return the tree that the rows describe.

        Raises:
            StorageError: the rows cannot be read or describe no sound tree; the sentence says why,
                and names the commands that show and repair it.
        """
        try:
            with closing(self._each_row(rows.SELECT)) as each_row:
                tree = Tree.from_entries(map(entry_of, each_row))
        except StorageError as error:
            raise self.refusal(error) from error
        if self._is_pristine:
            _forget_creation_time(tree)
        self._connection.pragma("shrink_memory")  # the pages that were read are not needed again
        return tree

    def refusal(self, reason: StorageError) -> DamagedDatabaseError:
        """Return the refusal of this database for what was found in it, with what to do next."""
        return _refusal(self._path, reason)

    def commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction: all of them or, if that fails, none.

        Args:
            changes: in the order in which they were made; they may touch an inode repeatedly.

        Raises:
            TemporaryStorageError: nothing was written, since somebody else is writing or the disk
                is full. It never waits for that to change.
            StorageError: nothing was written; the database is damaged, or no longer in its place.
        """
        with self._transaction():
            for change in merged(changes):
                self._write(change)
        self._is_pristine = False

    def probe(self) -> None:
        """Write what is there already, to see whether changes would be taken.

        Raises:
            TemporaryStorageError: they would not, at this moment.
            StorageError: they would not.
        """
        if self._is_disk_full and self._files is not None:
            self._files.check_room(FREE_BYTES_MIN)
        with self._transaction():
            self._change_row(rows.PROBE, (ROOT_INODE,))

    def sync(self) -> None:
        """Return once all that was committed survives a loss of power. May be called in a thread.

        Raises:
            StorageError: it may not survive.
        """
        if self._files is not None:
            self._files.sync()

    def check_place(self) -> None:
        """See whether the files are still where they were opened.

        Raises:
            StorageError: somebody has removed or replaced them.
        """
        if self._files is not None:
            self._files.check()

    def attach_log_keeper(self, keeper: LogKeeper) -> None:
        """Leave it to somebody else to keep the write-ahead log short."""
        frame_bytes = int(self._connection.pragma("page_size")) + LOG_PAGE_HEADER_BYTES

        def tell(connection: apsw.Connection, name: str, pages: int) -> int:
            keeper.note_size(pages * frame_bytes)
            return apsw.SQLITE_OK

        self._keeper = keeper
        self._connection.set_wal_hook(tell)

    def close(self) -> None:
        """Close the database; unless somebody else is reading it, one file is left.

        Raises:
            StorageError: the write-ahead log could not be brought into the file; it is left beside
                it, and nothing is lost.
        """
        try:
            self._connection.wal_checkpoint()
        except apsw.Error as error:
            raise StorageError(f"cannot empty the write-ahead log: {error}") from error
        finally:
            self._connection.close(True)
            if self._files is not None:
                self._files.close()

    def _serve(self) -> None:
        """From here on wait for nobody, and notice when the files are taken away."""
        self._connection.set_busy_timeout(0)
        self._files = DatabaseFiles(self._path)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self.check_place()
            if self._keeper is not None and not self._keeper.has_room:
                raise TemporaryStorageError("the write-ahead log is brought into the file first")
            self._execute("BEGIN IMMEDIATE")
            yield
            self._execute("COMMIT")
            self._is_disk_full = False
        except StorageError as error:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            if isinstance(error, TemporaryStorageError):
                raise
            raise self.refusal(error) from error

    def _write(self, change: Change) -> None:
        before, after = change.before, change.after
        if after is None:
            self._change_row(rows.DELETE, (signed(change.inode),))
        elif before is None:
            self._execute(
                rows.INSERT, (signed(after.inode), *columns_of(after), after.data or None)
            )
        else:
            self._change_row(rows.UPDATE, (*columns_of(after), signed(after.inode)))
            if before.data is not after.data and before.data != after.data:
                self._change_row(rows.UPDATE_DATA, (after.data or None, signed(after.inode)))

    def _change_row(self, statement: str, values: Row) -> None:
        self._execute(statement, values)
        if self._connection.changes() != 1:
            raise StorageError(f"the row of inode {values[-1]} is gone")

    def _rows(self, statement: str) -> list[Row]:
        try:
            return self._connection.execute(statement).fetchall()
        except apsw.Error as error:
            raise StorageError(f"{type(error).__name__}: {error}") from error

    def _each_row(self, statement: str) -> Generator[Row, None, None]:
        """Yield one after the other: what was made of a row need not be in memory twice."""
        try:
            with closing(self._connection.cursor()) as cursor:
                yield from cursor.execute(statement)
        except apsw.Error as error:
            raise StorageError(f"{type(error).__name__}: {error}") from error

    def _execute(self, statement: str, values: Row = ()) -> None:
        try:
            self._connection.execute(statement, values)
        except apsw.Error as error:
            raise self._error_of(error) from error

    def _error_of(self, error: apsw.Error) -> StorageError:
        sentence = f"{type(error).__name__}: {error}"
        if isinstance(error, apsw.FullError) or (
            isinstance(error, apsw.IOError) and self._connection.system_errno in _NO_ROOM
        ):
            self._is_disk_full = True
            return TemporaryStorageError(sentence)
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return TemporaryStorageError(sentence)
        return StorageError(sentence)


def _refusal(path: Path, reason: Exception) -> DamagedDatabaseError:
    """Return an error that says what is wrong with the database and how to go on."""
    name = shlex.quote(str(path))
    return DamagedDatabaseError(
        f"cannot use {path}: {reason}. List all that is wrong: pmxcfs-db check {name}; "
        f"make a sound database from it: pmxcfs-db repair {name} NEW"
    )


def write_database(path: Path, entries: Iterable[Entry]) -> None:
    """Make a new database out of the entries of a sound tree, in one file that is on the disk.

    Args:
        path: where there is no file yet.
        entries: all of them, the root included.

    Raises:
        StorageError: it cannot be written; something unfinished may be there.
    """
    database = Database.open(path, now_s=0)
    try:
        database.commit(
            [Change(entry if entry.inode == ROOT_INODE else None, entry) for entry in entries]
        )
        database.sync()
    finally:
        database.close()


def _vet(connection: apsw.Connection) -> None:
    """Look at the file before it is changed in any way.

    Raises:
        StorageError: it is damaged or somebody else's.
        apsw.Error: it cannot be read.
    """
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    vetting.harden(connection)
    if faults := vetting.schema_faults(connection):
        raise DamagedDatabaseError("; ".join(faults))
    if faults := vetting.page_faults(connection):
        raise DamagedDatabaseError(f"it is corrupt: {faults[0]}")
    pages_without_rows = vetting.pages_without_rows(connection.pragma("page_size"))
    has_rows = connection.pragma("page_count") <= pages_without_rows or (
        connection.execute("SELECT 1 FROM tree LIMIT 1").get
    )
    if not has_rows:
        raise DamagedDatabaseError("its table has no rows, and had some")


def _prepare(connection: apsw.Connection) -> None:
    if connection.pragma("page_count") == 0:
        connection.pragma("page_size", PAGE_BYTES)
        # With a rollback journal this is on the disk when it returns. Made later, in the log, a
        # loss of power could leave a file without its table, which no start would accept.
        connection.execute(rows.CREATE_TABLE)
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise StorageError(f"it has journal mode {mode!r} and cannot have a write-ahead log")
    connection.pragma("synchronous", "normal")
    connection.pragma("journal_size_limit", LOG_BYTES_MAX)


def _forget_creation_time(tree: Tree) -> None:
    """Give the root of a new database the mtime 0 that the reference has until the first change."""
    tree.put(tree.root.touched(0))
