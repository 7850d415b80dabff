"""The tree engine against a sequence recorded from the reference's engine."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from pmxcfs.memdb.counters import OBSERVED_PATHS
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.index import Index, entry_checksum, index_of, tree_checksum
from pmxcfs.memdb.memdb import Memdb, Outcome
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.tree import Tree

VECTORS = Path(__file__).parent / "vectors"
RECORDED = json.loads((VECTORS / "vectors-filesystem.json").read_text())


def test_every_recorded_operation_gives_the_recorded_result_and_tree() -> None:
    memdb = Memdb(Tree.new(), now_s=0)
    steps = 0
    for step in RECORDED["sequence"]:
        if "state" in step:
            assert_state(memdb, step)
        elif step["op"] == "read":
            assert read(memdb.tree, step["path"].encode()) == step["result"], step
        else:
            outcome = apply(memdb, step)
            assert outcome.result == step["result"], step
        steps += 1
    assert steps == 66


def test_the_index_of_a_hundred_files_is_the_recorded_one() -> None:
    expected = RECORDED["index_unit_test"]
    memdb = Memdb(Tree.new(), now_s=0)
    for number in range(100):
        path = b"testfile%d" % number
        memdb.apply(Create(path), 0, 1234, 0)
        memdb.apply(Write(path, 0, bytes(32768)), 0, 1234, 0)
    index = index_of(memdb.tree)
    encoded = index.encode()
    assert (index.version, index.last_inode) == (expected["version"], expected["last_inode"])
    assert len(index.digests) == expected["entries"]
    assert len(encoded) == expected["index_bytes"]
    assert sha256(encoded).hexdigest() == expected["sha256_of_index"]


def test_a_file_system_counts_entries_and_content_as_recorded() -> None:
    memdb = Memdb(Tree.new(), now_s=0)
    for step in RECORDED["sequence"]:
        if step.get("op", "read") != "read":
            apply(memdb, step)
    assert len(memdb.tree) == 13
    assert memdb.tree.content_size_bytes == 2


def test_the_observed_files_are_the_recorded_ones_in_their_order() -> None:
    recorded = json.loads((VECTORS / "views/01.json").read_text())["special"][".version"]
    shown = [name.encode() for name in json.loads(recorded)]
    assert shown == [b"starttime", b"clinfo", b"vmlist", *OBSERVED_PATHS, b"kvstore"]


def apply(memdb: Memdb, step: dict[str, Any]) -> Outcome:
    return memdb.apply(operation_of(step), step["writer"], step["mtime"], now_s=0)


def operation_of(step: dict[str, Any]) -> Operation:
    path = step.get("path", step.get("from", "")).encode()
    match step["op"]:
        case "create":
            return Create(path)
        case "mkdir":
            return Mkdir(path)
        case "write":
            data = (step["data"] or "").encode()
            assert len(data) == step["count"]
            return Write(path, step["offset"], data, truncate=bool(step["truncate"]))
        case "mtime":
            return SetMtime(path, step["mtime"])
        case "delete":
            return Delete(path)
        case "rename":
            return Rename(path, step["to"].encode())
        case other:
            raise AssertionError(other)


def read(tree: Tree, path: bytes) -> int:
    entry = tree.find(path)
    return -2 if entry is None or entry.is_directory else len(entry.data)


def assert_state(memdb: Memdb, state: dict[str, Any]) -> None:
    tree = memdb.tree
    assert [described(entry) for entry in tree.entries()] == [
        {key: value for key, value in entry.items() if key != "data_hex"}
        for entry in state["entries"]
    ], state["state"]
    for entry in state["entries"]:
        stored = tree.get(entry["inode"])
        assert stored is not None
        assert stored.data == bytes.fromhex(entry.get("data_hex") or "")
    assert index_of(tree).encode().hex() == state["index_hex"]
    assert Index.decode(bytes.fromhex(state["index_hex"])) == index_of(tree)
    assert tree_checksum(tree).hex() == state["tree_sha256"]
    assert vmlist_text(memdb) == state["vmlist_text"], state["state"]


def described(entry: Entry) -> dict[str, Any]:
    return {
        "inode": entry.inode,
        "parent": entry.parent,
        "version": entry.version,
        "writer": entry.writer,
        "mtime": entry.mtime,
        "size": entry.size,
        "type": int(entry.type),
        "name": entry.name.decode(),
        "sha256": entry_checksum(entry).hex(),
    }


def vmlist_text(memdb: Memdb) -> str:
    """Return the recorded form of the guest list; it never has more than one guest here."""
    guests = list(memdb.guests)
    if not guests:
        return f'{{\n"version": {memdb.guests.version}\n\n}}\n'
    (guest,) = guests
    return (
        f'{{\n"version": {memdb.guests.version},\n"ids": {{\n"{guest.vmid}": '
        f'{{ "node": "{guest.node}", "type": "{guest.kind}", "version": {guest.version} }}}}'
        "\n\n}\n"
    )
