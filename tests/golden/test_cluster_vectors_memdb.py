"""Payloads, digests and checksums of the configuration tree, as the reference makes them."""

import json
from pathlib import Path

import pytest

from pmxcfs.memdb.entry import ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.memdb.index import Index, entry_checksum, index_digest, index_of, tree_checksum
from pmxcfs.memdb.messages import (
    decode_operation,
    decode_update,
    encode_operation,
    encode_update,
)
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Operation,
    Rename,
    SetMtime,
    Unlock,
    UnlockRequest,
    Write,
)
from pmxcfs.memdb.tree import Tree

RECORDED = json.loads((Path(__file__).parent / "vectors/vectors-cluster.json").read_text())
BYTES_OF = {
    vector["name"]: bytes.fromhex(vector["hex"])
    for vector in RECORDED["vectors"]
    if "hex" in vector
}
NORMAL_HEADER_BYTES = 24
STATE_HEADER_BYTES = 32

T = 0x65A0B0C0
ROOT = Entry(ROOT_INODE, ROOT_INODE, 5, 2, T, EntryType.DIRECTORY, b"")
NODES = Entry(Inode(2), ROOT_INODE, 2, 1, T - 100, EntryType.DIRECTORY, b"nodes")
PRIV = Entry(Inode(3), ROOT_INODE, 3, 1, T - 90, EntryType.DIRECTORY, b"priv")
TEXT = b"totem {\n  config_version: 7\n}\n"
CONF = Entry(Inode(4), ROOT_INODE, 5, 2, T, EntryType.FILE, b"corosync.conf", len(TEXT), TEXT)
TREE = Tree.from_entries([ROOT, NODES, PRIV, CONF])

LOCK = b"priv/lock/file-storage_cfg"
OPERATIONS: dict[str, Operation] = {
    "write": Write(b"corosync.conf", 0, b"hello\n"),
    "truncate": Write(b"corosync.conf", 3, b"", truncate=True),
    "mkdir": Mkdir(LOCK),
    "delete": Delete(LOCK),
    "rename": Rename(b"corosync.conf.new", b"corosync.conf"),
    "create": Create(b"nodes/n1/qemu-server/100.conf"),
    "mtime": SetMtime(b"user.cfg", T),
    "unlock_request": UnlockRequest(LOCK, BYTES_OF["lock_csum"]),
    "unlock": Unlock(LOCK, BYTES_OF["lock_csum"]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_recorded_bytes(name: str) -> None:
    recorded = BYTES_OF[name]
    subtype = int.from_bytes(recorded[2:4], "little")
    payload = recorded[NORMAL_HEADER_BYTES:]
    assert encode_operation(OPERATIONS[name]) == (subtype, payload)
    assert decode_operation(subtype, payload) == OPERATIONS[name]


@pytest.mark.parametrize(
    ("name", "entry"), [("update_root", ROOT), ("update_dir", NODES), ("update_file", CONF)]
)
def test_an_update_has_the_recorded_bytes(name: str, entry: Entry) -> None:
    payload = BYTES_OF[name][STATE_HEADER_BYTES:]
    assert encode_update(entry) == payload
    assert decode_update(payload) == entry


@pytest.mark.parametrize("entry", [ROOT, NODES, PRIV, CONF], ids=lambda entry: str(entry.inode))
def test_an_entry_has_the_recorded_digest(entry: Entry) -> None:
    assert index_digest(entry) == BYTES_OF[f"digest_inode_{entry.inode}"]


def test_a_lock_has_the_recorded_checksum() -> None:
    lock = Entry(Inode(9), Inode(8), 9, 1, 0x65A0B08E, EntryType.DIRECTORY, b"file-storage_cfg")
    assert entry_checksum(lock) == BYTES_OF["lock_csum"]


def test_a_tree_has_the_recorded_index_and_checksum() -> None:
    blob = BYTES_OF["state_dcdb"][STATE_HEADER_BYTES:]
    assert index_of(TREE).encode() == blob
    assert Index.decode(blob) == index_of(TREE)
    assert tree_checksum(TREE) == BYTES_OF["tree_checksum"]
