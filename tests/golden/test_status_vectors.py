"""Payloads of the status group, log entries and digests, as the reference makes them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.dfsm.wire import Epoch, MessageType, NormalHeader, StateHeader
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.status.clusterlog import ClusterLog
from pmxcfs.status.entry import LogEntry, decode_entry, digest
from pmxcfs.status.messages import (
    Subtype,
    Update,
    decode_update,
    encode_log,
    encode_update,
)
from pmxcfs.status.ring import RING_BYTES, decode_ring

RECORDED = json.loads((Path(__file__).parent / "vectors/vectors-cluster.json").read_text())
VECTORS: dict[str, dict[str, Any]] = {vector["name"]: vector for vector in RECORDED["vectors"]}

T = 0x65A0B0C0

UPDATES = {
    "kv_update_nodeip": (1, Update(b"nodeip", b"10.0.0.1\0")),
    "kv_update_remove": (2, Update(b"kv/foo", b"")),
    "kv_update_rrd": (4, Update(b"rrd/pve2-storage/n1/local", b"1705029824:1000:500\0")),
}


def recorded(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name]["hex"])


def started_log() -> ClusterLog:
    """Return the log of node1 after the daemon, process 777, has started."""
    made = ClusterLog(b"node1")
    text = b"starting cluster log"
    made.add(priority=6, ident=b"root", tag=b"cluster", text=text, pid=777, now_s=T - 5)
    return made


def log_hi(to: ClusterLog) -> LogEntry:
    return to.add(priority=6, ident=b"root@pam", tag=b"pvedaemon", text=b"hi", pid=777, now_s=T)


@pytest.mark.parametrize(("name", "message"), UPDATES.items())
def test_an_update(name: str, message: tuple[int, Update]) -> None:
    count, update = message
    subtype, payload = encode_update(update)
    assert NormalHeader(subtype, 0, T, count).encode() + payload == recorded(name)
    assert decode_update(recorded(name)[24:]) == update


@pytest.mark.parametrize(
    ("name", "text"), [("fnv_node1", b"node1"), ("fnv_rootpam", b"root@pam"), ("fnv_empty", b"")]
)
def test_a_digest(name: str, text: bytes) -> None:
    assert digest(text).to_bytes(8, "little") == recorded(name)


def test_a_log_entry_and_the_message_that_brings_it() -> None:
    entry = log_hi(started_log())
    assert entry.encode() == recorded("clog_entry")
    assert decode_entry(recorded("clog_entry")) == entry
    assert encode_log(entry)[0] == Subtype.LOG
    assert NormalHeader(Subtype.LOG, 0, T, 3).encode() + encode_log(entry)[1] == recorded("kv_log")


def test_the_state_is_the_whole_ring() -> None:
    log = started_log()
    log_hi(log)
    header = StateHeader(MessageType.STATE, 0, T, Epoch(3, T, Member(NodeId(1), Pid(4242))))
    message = header.encode() + log.state()
    vector = VECTORS["state_kv"]
    assert message[: vector["prefix_length"]] == recorded("state_kv")
    assert not any(message[vector["prefix_length"] :])
    assert len(message) == vector["length"] == 32 + RING_BYTES
    assert hashlib.sha256(message).hexdigest() == vector["sha256"]
    assert [entry.uid for entry in decode_ring(message[32:])] == [2, 1]
