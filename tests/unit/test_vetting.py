"""Nothing that a database file says of itself is executed or believed."""

from pathlib import Path
from typing import cast

import apsw
import pytest

from pmxcfs import rows, vetting
from pmxcfs.database import Database
from pmxcfs.errors import StorageError


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    opened = apsw.Connection(str(tmp_path / "x.db"))
    opened.execute("CREATE TABLE t (x)")
    opened.execute("CREATE VIEW v AS SELECT 1")
    opened.execute("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END")
    vetting.harden(opened)
    return opened


def test_views_are_not_evaluated(connection: apsw.Connection) -> None:
    with pytest.raises(apsw.SQLError, match="access to view"):
        connection.execute("SELECT * FROM v")


def test_triggers_do_not_fire(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO t VALUES (1)")
    assert connection.execute("SELECT count(*) FROM t").get == 1


def test_no_value_is_larger_than_the_file_system(connection: apsw.Connection) -> None:
    with pytest.raises(apsw.TooBigError):
        connection.execute("INSERT INTO t VALUES (zeroblob(200000000))")


def test_the_schema_cannot_be_edited(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA writable_schema = 1")
    with pytest.raises(apsw.SQLError, match="may not be modified"):
        connection.execute("DELETE FROM sqlite_schema")


def test_a_new_database_has_no_fault(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "new.db"))
    assert vetting.schema_faults(connection) == []
    connection.close()
    Database.open(tmp_path / "new.db", 0).close()
    connection = apsw.Connection(str(tmp_path / "new.db"))
    assert vetting.schema_faults(connection) == []
    assert vetting.page_faults(connection) == []
    connection.close()


def test_statistics_of_the_table_are_in_order(tmp_path: Path) -> None:
    Database.open(tmp_path / "x.db", 0).close()
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("ANALYZE")
    assert vetting.schema_faults(connection) == []
    connection.close()
    Database.open(tmp_path / "x.db", 0).close()


def test_a_declaration_may_be_spelled_otherwise(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute(
        'create table "tree"(inode integer primary key, parent INTEGER, version INTEGER, '
        "writer INTEGER, mtime INTEGER, type INTEGER, name text not null, data blob)"
    )
    assert vetting.schema_faults(connection) == []
    connection.close()


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ("inode INTEGER, parent INTEGER, version INTEGER", "not the primary key"),
        ("parent INTEGER, inode INTEGER PRIMARY KEY, version INTEGER", "other types or places"),
        ("inode INTEGER PRIMARY KEY, parent TEXT, version INTEGER", "other types or places"),
        ("inode INTEGER PRIMARY KEY, version INTEGER", "lacks the column parent"),
    ],
)
def test_other_columns_are_a_fault(tmp_path: Path, columns: str, fault: str) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    rest = "writer INTEGER, mtime INTEGER, type INTEGER, name TEXT, data BLOB"
    connection.execute(f"CREATE TABLE tree ({columns}, {rest})")
    (sentence,) = vetting.schema_faults(connection)
    connection.close()
    assert fault in sentence


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_another_encoding_is_a_fault(tmp_path: Path, encoding: str) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute(f"PRAGMA encoding = '{encoding}'")
    connection.execute("CREATE TABLE tree (x)")
    assert vetting.schema_faults(connection) == [f"it stores text as {encoding} and not as UTF-8"]
    connection.close()


def test_a_file_of_one_byte_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"x")
    with pytest.raises(StorageError, match="it has one byte"):
        Database.open(tmp_path / "x.db", 0)
    assert (tmp_path / "x.db").read_bytes() == b"x"


def test_pages_are_checked_while_they_are_read_and_stored_expressions_not_trusted(
    connection: apsw.Connection,
) -> None:
    words = ("cell_size_check", "mmap_size", "trusted_schema")
    assert [connection.pragma(word) for word in words] == [1, 0, 0]


def test_expressions_in_the_declaration_are_named_and_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute(
        "CREATE TABLE tree (inode INTEGER PRIMARY KEY, name TEXT DEFAULT (random()))"
    )
    (sentence,) = vetting.schema_faults(connection)
    connection.close()
    assert sentence.endswith("has odd words: default, random")


def test_whatever_else_the_file_declares_is_named(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE other (x)")
    connection.execute("CREATE INDEX quick ON other (x)")
    lacking, *others = vetting.schema_faults(connection)
    connection.close()
    assert lacking.startswith("it has no table 'tree'")
    assert others == [
        "it has the table 'other', which does not belong into it",
        "it has the index 'quick', which does not belong into it",
    ]


def test_columns_that_lack_are_named_in_order(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE tree (inode INTEGER PRIMARY KEY)")
    columns = ("data", "mtime", "name", "parent", "type", "version", "writer")
    expected = [f"the table 'tree' lacks the column {column}" for column in columns]
    assert vetting.schema_faults(connection) == expected
    connection.close()


def test_a_virtual_table_is_no_ordinary_one(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE VIRTUAL TABLE tree USING fts5 (name)")
    assert vetting.schema_faults(connection)[0] == "'tree' is no ordinary table"
    connection.close()


def test_checks_of_the_declaration_are_back_after_the_pages_were_looked_at(tmp_path: Path) -> None:
    Database.open(tmp_path / "x.db", 0).close()
    connection = apsw.Connection(str(tmp_path / "x.db"))
    assert vetting.page_faults(connection) == []
    assert connection.pragma("ignore_check_constraints") == 0
    connection.close()


def test_a_value_may_be_as_large_as_the_whole_file_system(connection: apsw.Connection) -> None:
    assert connection.limit(apsw.SQLITE_LIMIT_LENGTH) == 128 * 2**20


def test_a_database_in_memory_is_no_file_of_one_byte() -> None:
    connection = apsw.Connection(":memory:")
    assert vetting.schema_faults(connection) == []
    connection.close()


@pytest.mark.parametrize("page_bytes", [512, 1024, 4096, 65536])
def test_an_empty_table_takes_no_more_pages_than_are_said(tmp_path: Path, page_bytes: int) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.pragma("page_size", page_bytes)
    connection.execute(rows.CREATE_TABLE)
    assert connection.pragma("page_count") == vetting.pages_without_rows(page_bytes)
    connection.close()


def test_an_index_of_sqlites_own_is_named_too(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE other (x UNIQUE)")
    faults = vetting.schema_faults(connection)
    connection.close()
    assert "it has the index 'sqlite_autoindex_other_1', which does not belong into it" in faults


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE other (x)")
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute(
        "UPDATE sqlite_schema SET name = CAST(x'6fff' AS TEXT), tbl_name = CAST(x'6fff' AS TEXT),"
        " sql = CAST(x'435245415445205441424c45206fff20287829' AS TEXT)"
    )
    faults = vetting.schema_faults(connection)
    connection.close()
    assert r"it has the table 'o\\xff', which does not belong into it" in faults


def test_odd_words_are_named_in_order(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE tree (f, e, d, c, b, a)")
    (sentence,) = vetting.schema_faults(connection)
    connection.close()
    assert sentence.endswith("has odd words: a, b, c, d, e, f")


def _with_broken_leaves(path: Path) -> apsw.Connection:
    """Make a database two of whose pages of rows are nonsense."""
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE tree (x)")
    connection.execute("BEGIN")
    for _ in range(200):
        connection.execute("INSERT INTO tree VALUES (randomblob(200))")
    connection.execute("COMMIT")
    size = connection.pragma("page_size")
    connection.close()
    pages = bytearray(path.read_bytes())
    for number in (4, 6):
        pages[(number - 1) * size : number * size] = bytes(size)
    path.write_bytes(pages)
    return apsw.Connection(str(path))


def test_as_many_faults_of_pages_are_looked_for_as_asked(tmp_path: Path) -> None:
    connection = _with_broken_leaves(tmp_path / "x.db")
    assert len(vetting.page_faults(connection)) == 1
    assert len(vetting.page_faults(connection, at_most=100)) > 1
    connection.close()


def test_a_fault_of_a_page_is_told_without_a_heading(tmp_path: Path) -> None:
    connection = _with_broken_leaves(tmp_path / "x.db")
    for fault in vetting.page_faults(connection, at_most=100):
        assert not fault.startswith("***")
        assert "page" in fault.lower()
    connection.close()


@pytest.mark.parametrize("root", ["1", "0", "'x'"])
def test_a_table_whose_rows_begin_nowhere_of_its_own_is_no_ordinary_one(
    tmp_path: Path, root: str
) -> None:
    Database.open(tmp_path / "x.db", 0).close()
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute(f"UPDATE sqlite_schema SET rootpage = {root}")
    assert vetting.schema_faults(connection)[0] == "'tree' is no ordinary table"
    connection.close()


def test_only_tables_count_as_statistics(tmp_path: Path) -> None:
    Database.open(tmp_path / "x.db", 0).close()
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE VIEW v AS SELECT 1")
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute("UPDATE sqlite_schema SET name = 'sqlite_stat1' WHERE type = 'view'")
    assert vetting.schema_faults(connection) == [
        "it has the view 'sqlite_stat1', which does not belong into it"
    ]
    connection.close()


class _EndsTheSearch:
    """A connection to a file whose damage ends the search before anything was found."""

    def execute(self, statement: str) -> list[tuple[str]]:
        if "quick_check" in statement:
            raise apsw.CorruptError
        return []


def test_damage_that_ends_the_search_at_once_is_an_error() -> None:
    with pytest.raises(apsw.CorruptError):
        vetting.page_faults(cast(apsw.Connection, _EndsTheSearch()))
