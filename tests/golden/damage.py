"""Every class of damage that a database can have, each made from a sound one.

Rows are damaged with SQL, files with bytes. A database says what the daemon and ``check`` have to
find, so that no class is left without a test.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmxcfs.database import Database
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.rows import CREATE_TABLE
from pmxcfs.tools.problems import Kind, Severity

NOW_S = 1_700_000_000
PAGE = 4096

DIRECTORIES = (
    b"nodes",
    b"nodes/n1",
    b"nodes/n1/qemu-server",
    b"nodes/n1/lxc",
    b"nodes/n2",
    b"nodes/n2/qemu-server",
    b"priv",
    b"priv/lock",
)
FILES = {
    b"storage.cfg": b"dir: local\n",
    b"user.cfg": b"user:root@pam:1:0:::\n",
    b"nodes/n1/qemu-server/100.conf": b"memory: 512\n",
    b"nodes/n1/lxc/101.conf": b"memory: 256\n",
    **{b"file-%d" % number: b"content of file %d\n" % number * 8 for number in range(60)},
    b"priv/large": bytes(range(256)) * 400,
}


def make_sound(path: Path) -> None:
    """Make a database of several pages, with a file in overflow pages, and nothing in the log.

    Its pages are as large as those of the databases that the reference has made.
    """
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute(CREATE_TABLE)
    connection.close()
    database = Database.open(path, NOW_S)
    memdb = Memdb(database.load(), 0)
    operations: list[Operation] = [Mkdir(name) for name in DIRECTORIES]
    for name, content in FILES.items():
        operations += [Create(name), Write(name, 0, content)]
    for operation in operations:
        outcome = memdb.apply(operation, 1, NOW_S, 0)
        assert outcome.result >= 0, operation
        database.commit(outcome.changes)
    database.close()


def inode_of(path: Path, name: str) -> int:
    """Return the inode of the one entry of a name."""
    with sqlite3.connect(path) as connection:
        ((inode,),) = connection.execute("SELECT inode FROM tree WHERE name = ?", [name])
    connection.close()
    return int(inode)


def sql(path: Path, *statements: str) -> None:
    """Change rows behind the daemon's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def patch(path: Path, at: int, content: bytes) -> None:
    """Overwrite bytes of a file."""
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)


@dataclass(frozen=True, slots=True)
class Damage:
    """One way to damage a sound database, and what has to be found.

    ``is_readable`` is whether rows are left, ``said`` a part of what the daemon says.
    """

    name: str
    inflict: Callable[[Path], None]
    kind: Kind
    severity: Severity = Severity.REFUSED
    said: str = ""
    is_readable: bool = True

    def __str__(self) -> str:
        return self.name


def rows(name: str, kind: Kind, said: str, *statements: str, wrong: bool = False) -> Damage:
    """Damage made with SQL; ``{x}`` in a statement stands for the inode of the entry x."""

    def inflict(path: Path) -> None:
        numbers = {
            key: inode_of(path, found)
            for key, found in NUMBERED.items()
            if any("{" + key + "}" in statement for statement in statements)
        }
        sql(path, *(statement.format(**numbers) for statement in statements))

    return Damage(name, inflict, kind, Severity.WRONG if wrong else Severity.REFUSED, said)


NUMBERED = {
    "storage": "storage.cfg",
    "user": "user.cfg",
    "nodes": "nodes",
    "priv": "priv",
    "n1": "n1",
    "n2": "n2",
    "conf": "100.conf",
    "lxc": "lxc",
    "lock": "lock",
}
NEW = "INSERT INTO tree VALUES ((SELECT max(inode) + 1 FROM tree WHERE inode < 10000)"

ROW_DAMAGES: Sequence[Damage] = [
    rows("no version row", Kind.NO_VERSION_ROW, "root", "DELETE FROM tree WHERE inode = 0"),
    rows(
        "version row renamed",
        Kind.VERSION_ROW,
        "is called b'versions'",
        "UPDATE tree SET name = 'versions' WHERE inode = 0",
    ),
    rows(
        "version row with content",
        Kind.VERSION_ROW,
        "has content",
        "UPDATE tree SET data = 'x' WHERE inode = 0",
    ),
    rows(
        "version 0",
        Kind.VERSION_ROW,
        "out of range: 0",
        "UPDATE tree SET version = 0 WHERE inode = 0",
    ),
    rows(
        "negative version",
        Kind.VERSION_ROW,
        "out of range",
        "UPDATE tree SET version = -5 WHERE inode = 0",
    ),
    rows(
        "inodes above the version",
        Kind.INODE_ABOVE_VERSION,
        "above the version of the tree, 9",
        "UPDATE tree SET version = 9 WHERE inode = 0",
    ),
    rows(
        "negative inode",
        Kind.INODE_ABOVE_VERSION,
        "above the version",
        "UPDATE tree SET inode = -7 WHERE inode = {user}",
    ),
    rows(
        "entry version above the tree's",
        Kind.VERSION_ABOVE_VERSION,
        "",
        "UPDATE tree SET version = 100000 WHERE inode = {user}",
        wrong=True,
    ),
    rows(
        "text as mtime",
        Kind.WRONG_TYPE,
        "among its numbers",
        "UPDATE tree SET mtime = 'noon' WHERE inode = {user}",
    ),
    rows(
        "real as version",
        Kind.WRONG_TYPE,
        "among its numbers",
        "UPDATE tree SET version = 1.5 WHERE inode = {user}",
    ),
    rows(
        "blob as parent",
        Kind.WRONG_TYPE,
        "among its numbers",
        "UPDATE tree SET parent = x'00' WHERE inode = {user}",
    ),
    rows(
        "unknown type",
        Kind.UNKNOWN_TYPE,
        "unknown type 10",
        "UPDATE tree SET type = 10 WHERE inode = {user}",
    ),
    rows(
        "unknown type of a directory",
        Kind.UNKNOWN_TYPE,
        "unknown type 0",
        "UPDATE tree SET type = 0 WHERE inode = {nodes}",
    ),
    rows("empty name", Kind.BAD_NAME, "no name", "UPDATE tree SET name = '' WHERE inode = {user}"),
    rows(
        "slash in a name",
        Kind.BAD_NAME,
        "slash or a NUL",
        "UPDATE tree SET name = '../../etc/passwd' WHERE inode = {user}",
    ),
    rows(
        "NUL in a name",
        Kind.BAD_NAME,
        "slash or a NUL",
        "UPDATE tree SET name = CAST(x'610062' AS TEXT) WHERE inode = {user}",
    ),
    rows(
        "dot as name",
        Kind.BAD_NAME,
        "",
        "UPDATE tree SET name = '.' WHERE inode = {user}",
        wrong=True,
    ),
    rows(
        "two dots as name of a directory",
        Kind.BAD_NAME,
        "",
        "UPDATE tree SET name = '..' WHERE inode = {n1}",
        wrong=True,
    ),
    rows(
        "directory with content",
        Kind.DIRECTORY_WITH_CONTENT,
        "is a directory and has content",
        "UPDATE tree SET data = 'not lost' WHERE inode = {priv}",
    ),
    rows(
        "file over 1 MiB",
        Kind.OVERSIZED,
        "",
        "UPDATE tree SET data = zeroblob(1048577) WHERE inode = {user}",
        wrong=True,
    ),
    rows(
        "missing parent",
        Kind.MISSING_PARENT,
        "is missing",
        "DELETE FROM tree WHERE inode = {nodes}",
    ),
    rows(
        "file as parent",
        Kind.FILE_AS_PARENT,
        "is a file",
        "UPDATE tree SET parent = {storage} WHERE inode = {n1}",
    ),
    rows(
        "own parent",
        Kind.CYCLE,
        "is its own ancestor",
        "UPDATE tree SET parent = {nodes} WHERE inode = {nodes}",
    ),
    rows(
        "ring of three",
        Kind.CYCLE,
        "is its own ancestor",
        "UPDATE tree SET parent = {n1} WHERE inode = {nodes}",
    ),
    rows(
        "two files of one name",
        Kind.DUPLICATE_NAME,
        "have the same place",
        "UPDATE tree SET name = 'storage.cfg' WHERE inode = {user}",
    ),
    rows(
        "two directories of one name",
        Kind.DUPLICATE_NAME,
        "have the same place",
        "UPDATE tree SET name = 'n1' WHERE inode = {n2}",
    ),
    rows(
        "VM id twice",
        Kind.DUPLICATE_VMID,
        "VM ids with more than one configuration: [100]",
        f"{NEW}, {{lxc}}, 5, 1, 1, 8, '100.conf', 'other')",
        "UPDATE tree SET version = version + 1 WHERE inode = 0",
    ),
    rows(
        "file as guest directory",
        Kind.FILE_AS_GUEST_DIRECTORY,
        "is not a directory",
        f"{NEW}, {{n2}}, 5, 1, 1, 8, 'openvz', 'x')",
        "UPDATE tree SET version = version + 1 WHERE inode = 0",
    ),
]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // PAGE // 2 * PAGE])


def _cut_within_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * PAGE + 1234])


def _only_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def _without_its_log(path: Path) -> None:
    """Leave what a database is whose daemon never emptied its log."""
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()


def _leaf_page(path: Path) -> int:
    """Return the number of a page with rows that is not the first of the table."""
    content = path.read_bytes()
    return next(
        number for number in range(3, len(content) // PAGE) if content[number * PAGE] == 0x0D
    )


def _destroy_a_leaf(path: Path) -> None:
    patch(path, _leaf_page(path) * PAGE, b"\xa5" * PAGE)


def _flip_a_bit_of_a_leaf(path: Path) -> None:
    at = _leaf_page(path) * PAGE + 4  # the number of its cells
    patch(path, at, bytes([path.read_bytes()[at] ^ 4]))


def _destroy_the_first_page_of_the_table(path: Path) -> None:
    patch(path, PAGE, b"\xa5" * PAGE)


def _forget_the_rows(path: Path) -> None:
    """Make the first page of the table a leaf without cells."""
    patch(path, PAGE, b"\x0d\x00\x00\x00\x00\x10\x00\x00")


def _text_file(path: Path) -> None:
    path.write_text("totem {\n}\n" * 1000)


def _other_magic(path: Path) -> None:
    patch(path, 0, b"SQLite format 4\0")


def _other_encoding(path: Path) -> None:
    patch(path, 56, (2).to_bytes(4, "big"))


def _another_database(path: Path) -> None:
    path.unlink()
    sql(path, "CREATE TABLE cookies (host, value)", "INSERT INTO cookies VALUES (1, 2)")


FILE_DAMAGES: Sequence[Damage] = [
    Damage("zero bytes", _empty, Kind.NO_ROWS, Severity.WRONG, is_readable=False),
    Damage("only the header", _only_the_header, Kind.TRUNCATED, is_readable=False),
    Damage("cut in half", _cut, Kind.TRUNCATED),
    Damage("cut within a page", _cut_within_a_page, Kind.TRUNCATED),
    Damage(
        "without its log", _without_its_log, Kind.SCHEMA, said="without its -wal", is_readable=False
    ),
    Damage("a page destroyed", _destroy_a_leaf, Kind.CORRUPT),
    Damage("a bit flipped", _flip_a_bit_of_a_leaf, Kind.CORRUPT),
    Damage("first page destroyed", _destroy_the_first_page_of_the_table, Kind.CORRUPT),
    Damage("all rows forgotten", _forget_the_rows, Kind.CORRUPT),
    Damage("a text file", _text_file, Kind.NOT_A_DATABASE, is_readable=False),
    Damage("another magic", _other_magic, Kind.NOT_A_DATABASE),
    Damage("another encoding", _other_encoding, Kind.SCHEMA, said="malformed"),
    Damage(
        "another program's database",
        _another_database,
        Kind.SCHEMA,
        said="'cookies', which does not belong",
        is_readable=False,
    ),
    rows("all rows deleted", Kind.NO_ROWS, "no rows, and had some", "DELETE FROM tree"),
]

COPY = "CREATE TABLE other AS SELECT * FROM tree"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"

SCHEMA_DAMAGES: Sequence[Damage] = [
    rows("a table more", Kind.SCHEMA, "table 'other'", COPY),
    rows("an index", Kind.SCHEMA, "index 'byname'", "CREATE INDEX byname ON tree (name)"),
    rows(
        "a trigger",
        Kind.SCHEMA,
        "trigger 'gone'",
        "CREATE TRIGGER gone AFTER UPDATE ON tree BEGIN DELETE FROM tree; END",
    ),
    rows("no table", Kind.SCHEMA, "no table 'tree'", "DROP TABLE tree"),
    rows("a column less", Kind.SCHEMA, "lacks the column data", "ALTER TABLE tree DROP data"),
    rows("a column more", Kind.SCHEMA, "odd words: comment", "ALTER TABLE tree ADD comment"),
    rows(
        "a column renamed",
        Kind.SCHEMA,
        "odd words: nodeid",
        "ALTER TABLE tree RENAME writer TO nodeid",
    ),
    rows(
        "a generated column",
        Kind.SCHEMA,
        "generated",
        "ALTER TABLE tree ADD x INTEGER GENERATED ALWAYS AS (abs(inode))",
    ),
    rows(
        "a check that takes for ever",
        Kind.SCHEMA,
        "randomblob",
        "ALTER TABLE tree ADD x CHECK (x IS NULL OR length(hex(randomblob(1000000000))) > 0)",
    ),
    rows(
        "an endless view instead of the table",
        Kind.SCHEMA,
        "view 'tree'",
        "DROP TABLE tree",
        f"CREATE VIEW tree AS {ENDLESS} i inode, 0 parent, 1 version, 0 writer, 0 mtime, 8 type,"
        " 'x' name, NULL data FROM n",
    ),
    rows(
        "a virtual table instead of the table",
        Kind.SCHEMA,
        "no ordinary table",
        "DROP TABLE tree",
        "CREATE VIRTUAL TABLE tree USING fts5(inode, parent, version, writer, mtime, type, data)",
    ),
    rows(
        "without row ids",
        Kind.SCHEMA,
        "odd words: rowid, without",
        COPY,
        "DROP TABLE tree",
        "CREATE TABLE tree (inode INTEGER PRIMARY KEY NOT NULL, parent INTEGER, version INTEGER,"
        " writer INTEGER, mtime INTEGER, type INTEGER, name TEXT, data BLOB) WITHOUT ROWID",
        "INSERT INTO tree SELECT * FROM other",
        "DROP TABLE other",
    ),
]
UNREADABLE_SCHEMAS = frozenset(
    {
        "no table",
        "a column less",
        "an endless view instead of the table",
        "a virtual table instead of the table",
        "without row ids",
        "all rows deleted",
    }
)

DAMAGES = [*ROW_DAMAGES, *FILE_DAMAGES, *SCHEMA_DAMAGES]
