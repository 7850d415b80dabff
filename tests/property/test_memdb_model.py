"""Any history of operations: the tree behaves like a dict, and the database's rows are the tree.

The model is a dict from path to content (None for a directory). It knows neither inodes nor
versions, guests nor locks; of the rules it knows what a user would expect, and the errno.
"""

from errno import EACCES, EEXIST, EFBIG, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pmxcfs.database import Database
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Change, Entry
from pmxcfs.memdb.index import index_of, tree_checksum
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree

Path = tuple[str, ...]


class Model:
    """What a file system of these operations looks like to its users."""

    def __init__(self) -> None:
        self.content: dict[Path, bytes | None] = {(): None}

    def apply(self, operation: Operation) -> int:
        path = parts(operation.path)
        match operation:
            case Create() | Mkdir():
                result = self.refusal_at(path)
                if result == 0 and path in self.content:
                    hidden = isinstance(operation, Create) and self.content[path] is None
                    result = -(ENOTDIR if hidden else EEXIST)
                if result == 0:
                    self.content[path] = b"" if isinstance(operation, Create) else None
                return result
            case Write(_, offset, data, truncate):
                return self.write(path, offset, data, truncate)
            case SetMtime():
                return self.refusal_at(path) or (0 if path in self.content else -ENOENT)
            case Delete():
                return self.delete(path)
            case Rename(_, target):
                return self.rename(path, parts(target))
        raise AssertionError(operation)

    def refusal_at(self, path: Path) -> int:
        """Return why nothing can be at a path."""
        if not path:
            return -EACCES
        parent = path[:-1]
        if parent not in self.content:
            return -ENOENT
        if self.content[parent] is not None:
            return -ENOTDIR
        return -EACCES if path[-1] == ".." else 0

    def write(self, path: Path, offset: int, data: bytes, truncate: bool) -> int:
        end = offset + len(data)
        if end > FILE_SIZE_BYTES_MAX:
            return -EFBIG
        result = self.refusal_at(path)
        if result:
            return result
        if path not in self.content:
            return -ENOENT
        old = self.content[path]
        if old is None:
            return -ENOTDIR
        content = bytearray(max(len(old), end))
        content[: len(old)] = old
        content[offset:end] = data
        self.content[path] = bytes(content[:end] if truncate else content)
        return len(data)

    def delete(self, path: Path) -> int:
        if path not in self.content:
            return -ENOENT
        if not path:
            return -EACCES
        if self.is_full(path):
            return -ENOTEMPTY
        del self.content[path]
        return 0

    def rename(self, path: Path, target: Path) -> int:
        if path not in self.content:
            return -ENOENT
        if not path:
            return -EACCES
        result = self.refusal_to_take(target)
        if result or path == target:
            return result
        if path == target[:-1]:
            return -EINVAL
        self.content.pop(target, None)  # even if refused now: a defect that all replicas share
        if self.is_full(path):
            return -ENOTEMPTY
        self.content[target] = self.content.pop(path)
        return 0

    def refusal_to_take(self, target: Path) -> int:
        """Return why an entry cannot be renamed to a path."""
        if not target:
            return -EACCES
        if self.is_full(target):
            return -ENOTEMPTY
        return 0 if target in self.content else self.refusal_at(target)

    def is_full(self, path: Path) -> bool:
        return any(other[: len(path)] == path and other != path for other in self.content)


def parts(path: bytes) -> Path:
    return tuple(name for name in path.decode().split("/") if name)


NAMES = st.sampled_from(["a", "b", "c"])
ODD_PATHS = st.sampled_from([b"", b"a/..", b"/a", b"b//c/"])
PLAIN_PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/".join(names).encode())
PATHS = st.one_of(PLAIN_PATHS, PLAIN_PATHS, PLAIN_PATHS, ODD_PATHS)
OFFSETS = st.one_of(
    st.integers(0, 40), st.sampled_from([FILE_SIZE_BYTES_MAX - 1, FILE_SIZE_BYTES_MAX, 2**32 - 1])
)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, PATHS),
    st.builds(Mkdir, PATHS),
    st.builds(Write, PATHS, OFFSETS, st.binary(max_size=40), st.booleans()),
    st.builds(SetMtime, PATHS, st.integers(0, 2**32 - 1)),
    st.builds(Delete, PATHS),
    st.builds(Rename, PATHS, PLAIN_PATHS),
)


class MemdbAgainstDict(RuleBasedStateMachine):
    """Operations, batches and failed commits, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database.in_memory()
        self.memdb = Memdb(self.database.load(), now_s=0)
        self.model = Model()
        self.clock = 1_000

    def teardown(self) -> None:
        self.database.close()

    def apply(self, operation: Operation) -> tuple[Change, ...]:
        self.clock += 1
        version = self.memdb.tree.root.version
        outcome = self.memdb.apply(operation, self.clock % 5, self.clock, now_s=0)
        has_root = any(change.inode == 0 for change in outcome.changes)
        assert self.memdb.tree.root.version == version + has_root
        assert has_root == bool(outcome.result >= 0 and outcome.changes)
        assert outcome.result == self.model.apply(operation), operation
        return outcome.changes

    @rule(operation=OPERATIONS)
    def change(self, operation: Operation) -> None:
        if not extends_nothing(self.memdb.tree, operation):
            self.database.commit(self.apply(operation))

    @rule(operations=st.lists(OPERATIONS, max_size=6))
    def change_in_one_commit(self, operations: list[Operation]) -> None:
        batch: list[Change] = []
        for operation in operations:
            if not extends_nothing(self.memdb.tree, operation):
                batch += self.apply(operation)
        self.database.commit(batch)

    @rule(operations=st.lists(OPERATIONS, min_size=1, max_size=6))
    def fail_to_commit(self, operations: list[Operation]) -> None:
        before = whole_state(self.memdb.tree)
        batch: list[Change] = []
        for operation in operations:
            self.clock += 1
            batch += self.memdb.apply(operation, 1, self.clock, now_s=0).changes
        self.memdb.revert(batch, now_s=0)
        assert whole_state(self.memdb.tree) == before

    @precondition(lambda self: self.clock % 3 == 0)
    @rule()
    def restart(self) -> None:
        self.memdb = Memdb(self.database.load(), now_s=0)

    @invariant()
    def the_rows_are_the_tree(self) -> None:
        assert whole_state(self.database.load()) == whole_state(self.memdb.tree)

    @invariant()
    def the_tree_is_the_model(self) -> None:
        tree = self.memdb.tree
        assert {
            parts(tree.path_of(entry.inode)): None if entry.is_directory else entry.data
            for entry in tree.entries()
        } == self.model.content

    @invariant()
    def inodes_are_versions(self) -> None:
        root = self.memdb.tree.root
        for entry in self.memdb.tree.entries():
            assert entry.inode <= entry.version <= root.version
            assert entry.size == len(entry.data)


def extends_nothing(tree: Tree, operation: Operation) -> bool:
    """Whether this would give a file a size without content, which no row can hold."""
    if not isinstance(operation, Write) or operation.data or not operation.offset:
        return False
    entry = tree.find(operation.path)
    return entry is not None and not entry.data


def whole_state(tree: Tree) -> tuple[object, ...]:
    """Return everything that two equal trees have in common."""
    entries: list[Entry] = list(tree.entries())
    children = {
        entry.inode: sorted(child.inode for child in tree.children(entry.inode))
        for entry in entries
    }
    paths = [tree.find(tree.path_of(entry.inode)) for entry in entries]
    assert paths == entries
    sums = (tree.content_size_bytes, len(tree), index_of(tree), tree_checksum(tree))
    return entries, children, sums


TestMemdbAgainstDict = MemdbAgainstDict.TestCase
TestMemdbAgainstDict.settings = settings(max_examples=60, stateful_step_count=30)
