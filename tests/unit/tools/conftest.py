"""What the tests of the tools share: a sound database, and the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pmxcfs.database import Database
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import copies
from pmxcfs.tools.building import build
from tests.golden.command_line import CommandLine

NOW_S = 1_700_000_000


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes to these files, so that a copy need not wait until they are old enough."""
    monkeypatch.setattr(copies, "PAUSE_S", 0.0001)


@pytest.fixture
def make_tree() -> Callable[..., Tree]:
    """Return what makes a tree of files; a path without content is a directory."""

    def make(files: dict[bytes, bytes | None], now_s: int = NOW_S) -> Tree:
        memdb = Memdb(Tree.new(), 0)
        for path, content in files.items():
            operations: list[Operation] = [Mkdir(path)]
            if content is not None:
                operations = [Create(path), Write(path, 0, content)]
            for operation in operations:
                assert memdb.apply(operation, 1, now_s, 0).result >= 0, operation
        return memdb.tree

    return make


@pytest.fixture
def tree(make_tree: Callable[..., Tree]) -> Tree:
    """Return a small tree."""
    return make_tree(
        {
            b"storage.cfg": b"dir: local\n\tpath /var\n",
            b"empty": b"",
            b"nodes": None,
            b"nodes/n1": None,
            b"nodes/n1/qemu-server": None,
            b"nodes/n1/qemu-server/100.conf": b"memory: 512\n",
            b"priv": None,
            b"priv/\xff\n": b"\x00\xff" * 3000,
        }
    )


@pytest.fixture
def database(tree: Tree, tmp_path: Path) -> Path:
    """Return the path of a database that holds the small tree."""
    path = tmp_path / "config.db"
    build(tree, path)
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Return what calls ``pmxcfs-db``."""
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def load() -> Callable[[Path], Tree]:
    """Return what loads a database as the daemon does."""

    def load_tree(path: Path) -> Tree:
        opened = Database.open(path, 0)
        try:
            loaded = opened.load()
            Memdb(loaded, 0)
        finally:
            opened.close()
        return loaded

    return load_tree
