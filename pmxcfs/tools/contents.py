"""What can be read of a database file, sound or not: its rows, and what is wrong with the file.

A sound file is read with SQLite. As soon as SQLite or the declarations are in doubt, the pages are
read directly, since a query might then end early, run for ever, or give something made up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pmxcfs import vetting
from pmxcfs.errors import StorageError
from pmxcfs.tools import carving
from pmxcfs.tools.cells import Cell, Value
from pmxcfs.tools.connections import PrivateConnection
from pmxcfs.tools.pages import AT_ENCODING, MAGIC, UTF8, Image
from pmxcfs.tools.problems import Kind, Problem, Severity

Stored: TypeAlias = int | float | str | bytes | None

PAGE_FAULTS_MAX = 100

_COLUMNS = len(vetting.COLUMNS)
_SELECT = """
SELECT inode, parent, version, writer, mtime, type, CAST(name AS BLOB), CAST(data AS BLOB)
FROM tree ORDER BY inode
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is stored, whatever that is.

    It is adrift if no page refers to it. Of its content, ``missing_bytes`` could not be read.
    """

    inode: Stored
    parent: Stored
    version: Stored
    writer: Stored
    mtime: Stored
    type: Stored
    name: bytes | None
    data: bytes | None
    is_adrift: bool = False
    missing_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a database, and what is wrong with the file around them.

    ``lost_pages`` are the bytes of pages that could not be read as a whole, by number; none of a
    page that is not in the file.
    """

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    lost_pages: tuple[tuple[int, bytes], ...] = ()


def read_contents(copy: Path) -> Contents:
    """Read a database that is a private copy; its log may be emptied into it.

    Raises:
        StorageError: the file can't be read at all.
    """
    try:
        image = Image.of(copy)
    except OSError as error:
        raise StorageError(f"cannot read {copy}: {error.strerror}") from error
    problems = _problems_of(image, copy.stat().st_size)
    rows: list[Row] = []
    try:
        with PrivateConnection(copy) as connection:
            connection.empty_log()
            problems += _problems_for_sqlite(connection)
            if connection.page_count() and not _is_in_doubt(problems):
                rows = [Row(*values) for values in connection.select(_SELECT)]
                problems += _problems_without_rows(rows, connection.page_count(), image.page_size)
    except StorageError as error:
        if not _is_in_doubt(problems):
            problems.append(_refused(Kind.CORRUPT, f"SQLite cannot read it: {error}"))
    if _is_in_doubt(problems):
        return _carved(image, problems)
    return Contents(tuple(rows), tuple(problems))


def _problems_of(image: Image, size: int) -> list[Problem]:
    problems = []
    first = image.page(1)
    if size == 0:
        sentence = "it is empty; the daemon would make a new database of it"
        problems.append(Problem(Kind.NO_ROWS, Severity.WRONG, sentence))
    elif not first.startswith(MAGIC):
        problems.append(_refused(Kind.NOT_A_DATABASE, "it does not begin like an SQLite database"))
    elif len(first) < image.page_size:
        problems.append(_refused(Kind.TRUNCATED, f"it is truncated: it has only {size} bytes"))
    elif image.number(first, AT_ENCODING) & 3 not in UTF8:
        problems.append(_refused(Kind.SCHEMA, "it stores text in another encoding than UTF-8"))
    missing = image.missing_pages if first.startswith(MAGIC) else 0
    if missing:
        sentence = f"it is truncated: {missing} pages of {image.page_count + missing} are missing"
        problems.append(_refused(Kind.TRUNCATED, sentence))
    if image.log.fault:
        problems.append(Problem(Kind.LOG, Severity.WARNING, image.log.fault))
    if image.log.ignored_frames:
        sentence = (
            f"{image.log.ignored_frames} pages at the end of the write-ahead log are not used: "
            "they belong to a change that was interrupted, or the log is damaged"
        )
        problems.append(Problem(Kind.LOG, Severity.WARNING, sentence))
    return problems


def _problems_for_sqlite(connection: PrivateConnection) -> list[Problem]:
    if faults := connection.schema_faults():
        return [_refused(Kind.SCHEMA, fault) for fault in faults]
    return [_refused(Kind.CORRUPT, fault) for fault in connection.page_faults(PAGE_FAULTS_MAX)]


def _problems_without_rows(rows: list[Row], page_count: int, page_bytes: int) -> list[Problem]:
    if rows or page_count == 0:
        return []
    if page_count > vetting.pages_without_rows(page_bytes):
        return [_refused(Kind.NO_ROWS, "its table has no rows, and had some")]
    sentence = "its table has no rows; the daemon takes it for a new database"
    return [Problem(Kind.NO_ROWS, Severity.WRONG, sentence)]


def _is_in_doubt(problems: list[Problem]) -> bool:
    return any(problem.severity is Severity.REFUSED for problem in problems)


def _carved(image: Image, problems: list[Problem]) -> Contents:
    """Return what the pages themselves hold."""
    carved = carving.carve(image)
    found = [(cell, False) for cell in carved.rows] + [(cell, True) for cell in carved.adrift]
    rows = [
        _row_of(cell, is_adrift=is_adrift)
        for cell, is_adrift in sorted(found, key=lambda item: item[0].rowid)
        if len(cell.record) >= _COLUMNS
    ]
    lost = tuple((number, image.page(number)) for number in carved.damaged_pages)
    return Contents(tuple(rows), tuple(problems), lost)


def _row_of(cell: Cell, *, is_adrift: bool) -> Row:
    _, parent, version, writer, mtime, type_, name, data = cell.record[:_COLUMNS]
    numbers = (cell.rowid, parent, version, writer, mtime, type_)
    return Row(*numbers, _bytes(name), _bytes(data), is_adrift, cell.missing_bytes)


def _bytes(value: Value) -> bytes | None:
    """Return content as SQLite casts it to a blob."""
    return value if value is None or isinstance(value, bytes) else str(value).encode()


def _refused(kind: Kind, sentence: str) -> Problem:
    return Problem(kind, Severity.REFUSED, sentence)
