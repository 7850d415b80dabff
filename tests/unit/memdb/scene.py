"""Small trees to try operations on, and the errno of a refusal."""

from errno import errorcode

from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.memdb import Memdb, Outcome
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.memdb.tree import Tree

WRITER = 1
TIME = 1_700_000_000


def a_memdb(*paths: str) -> Memdb:
    """Return a Memdb with these entries; a trailing slash makes a directory."""
    memdb = Memdb(Tree.new(), now_s=0)
    for path in paths:
        is_directory = path.endswith("/")
        name = path.rstrip("/").encode()
        do(memdb, Mkdir(name) if is_directory else Create(name))
    return memdb


def do(memdb: Memdb, operation: Operation, writer: int = WRITER, now_s: int = 0) -> Outcome:
    """Apply an operation that must succeed."""
    outcome = memdb.apply(operation, writer, TIME, now_s)
    assert outcome.result >= 0, f"{operation}: {errorcode[-outcome.result]}"
    return outcome


def put(memdb: Memdb, path: str, content: bytes) -> None:
    """Write the content of an existing file."""
    do(memdb, Write(path.encode(), 0, content, truncate=True))


def refusal(memdb: Memdb, operation: Operation, writer: int = WRITER, now_s: int = 0) -> str:
    """Return the name of the errno that an operation is refused with; "none" if it is not."""
    result = memdb.apply(operation, writer, TIME, now_s).result
    return errorcode[-result] if result < 0 else "none"


def at(memdb: Memdb, path: str) -> Entry:
    """Return the entry at a path, which must exist."""
    entry = memdb.tree.find(path.encode())
    assert entry is not None, path
    return entry


def snapshot(memdb: Memdb) -> list[Entry]:
    """Return all entries, to compare with later."""
    return list(memdb.tree.entries())
