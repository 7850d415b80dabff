"""That indexes and checksums follow every change although they are remembered."""

import struct
from dataclasses import replace

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.memdb import index as index_module
from pmxcfs.memdb.entry import Entry, Inode
from pmxcfs.memdb.index import Index, index_digest, index_of, tree_checksum
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from tests.unit.memdb.scene import a_memdb, do

CHANGES: list[Operation] = [
    Write(b"f", 0, b"content"),
    Write(b"f", 3, b"", truncate=True),
    SetMtime(b"d", 77),
    Create(b"d/new"),
    Rename(b"d/new", b"f"),
    Delete(b"f"),
    Delete(b"d"),
]


def test_index_and_checksum_after_each_change_are_those_of_a_fresh_tree() -> None:
    memdb = a_memdb("f", "d/")
    for operation in CHANGES:
        do(memdb, operation)
        fresh = Tree.from_entries(memdb.tree.entries())
        assert index_of(memdb.tree) == index_of(fresh)
        assert tree_checksum(memdb.tree) == tree_checksum(fresh)


def test_a_checksum_is_not_kept_when_an_entry_is_taken_out() -> None:
    tree = a_memdb("f", "d/").tree
    before = tree_checksum(tree)
    removed = tree.find(b"f")
    assert removed is not None
    tree.remove(removed.inode)
    assert tree_checksum(tree) == tree_checksum(Tree.from_entries(tree.entries())) != before


def test_index_and_checksum_are_back_after_a_change_was_undone() -> None:
    memdb = a_memdb("f", "d/")
    before = (index_of(memdb.tree), tree_checksum(memdb.tree))
    changes = [change for operation in CHANGES for change in do(memdb, operation).changes]
    assert (index_of(memdb.tree), tree_checksum(memdb.tree)) != before
    memdb.revert(changes, now_s=0)
    assert (index_of(memdb.tree), tree_checksum(memdb.tree)) == before


def test_an_index_after_one_change_hashes_only_what_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memdb = a_memdb(*(f"file{number}" for number in range(50)))
    index_of(memdb.tree)
    hashed: list[Entry] = []

    def counting(entry: Entry) -> bytes:
        hashed.append(entry)
        return index_digest(entry)

    monkeypatch.setattr(index_module, "index_digest", counting)
    do(memdb, Write(b"file7", 0, b"x"))
    index_of(memdb.tree)
    assert [entry.name for entry in hashed] == [b"", b"file7"]


def test_an_index_round_trips() -> None:
    index = index_of(a_memdb("f", "d/", "d/g").tree)
    assert Index.decode(index.encode()) == index
    assert len(index.encode()) == 32 + 40 * len(index.digests)


def test_the_last_inode_is_the_largest_present_one() -> None:
    memdb = a_memdb("a", "b", "c")
    do(memdb, Delete(b"c"))
    found = memdb.tree.find(b"b")
    assert found is not None
    assert index_of(memdb.tree).last_inode == found.inode


GOOD = index_of(Memdb(a_memdb("f", "d/").tree, now_s=0).tree)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD.encode()[:31],
        GOOD.encode()[:-1],
        GOOD.encode() + b"\0",
        GOOD.encode()[:-40],
        GOOD.encode()[:32],
        struct.pack("<QQIIII", 1, 0, 0, 0, 0, 32),
        GOOD.encode()[:28] + struct.pack("<I", 31) + GOOD.encode()[32:],
        GOOD.encode()[:24] + struct.pack("<I", 2) + GOOD.encode()[28:],
        replace(GOOD, digests=GOOD.digests[1:]).encode(),
        replace(GOOD, digests=(GOOD.digests[0], *reversed(GOOD.digests[1:]))).encode(),
        replace(GOOD, digests=(*GOOD.digests, (Inode(3), b"x" * 32))).encode(),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_index_are_a_peers_fault(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Index.decode(data)
