"""Headers against bytes that the reference sent."""

import json
from pathlib import Path

import pytest

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.wire import Epoch, MessageType, NormalHeader, StateHeader
from pmxcfs.identity import Member, NodeId, Pid

VECTORS_PATH = Path(__file__).parent / "vectors/vectors-cluster.json"
HEX_OF = {
    vector["name"]: vector["hex"] for vector in json.loads(VECTORS_PATH.read_text())["vectors"]
}

TIME_S = 0x65A0B0C0
EPOCH = Epoch(3, TIME_S, Member(NodeId(1), Pid(4242)))

STATE_MESSAGES = {
    "sync_start": MessageType.SYNC_START,
    "state_dcdb": MessageType.STATE,
    "update_root": MessageType.UPDATE,
    "update_dir": MessageType.UPDATE,
    "update_file": MessageType.UPDATE,
    "update_complete": MessageType.UPDATE_COMPLETE,
    "verify_request": MessageType.VERIFY_REQUEST,
    "verify": MessageType.VERIFY,
}
NORMAL_MESSAGES = {
    "write": (1, 1),
    "truncate": (1, 2),
    "mkdir": (2, 3),
    "delete": (3, 4),
    "rename": (4, 5),
    "create": (5, 6),
    "mtime": (6, 7),
    "unlock_request": (7, 8),
    "unlock": (8, 9),
}


def message(name: str) -> bytes:
    return bytes.fromhex(HEX_OF[name])


@pytest.mark.parametrize(("name", "kind"), STATE_MESSAGES.items())
def test_the_header_of_a_state_message(name: str, kind: MessageType) -> None:
    header, payload = wire.decode_state(message(name))

    assert header == StateHeader(kind, 1, TIME_S, EPOCH)
    assert header.encode() + payload == message(name)


@pytest.mark.parametrize(("name", "numbers"), NORMAL_MESSAGES.items())
def test_the_header_of_a_normal_message(name: str, numbers: tuple[int, int]) -> None:
    subtype, count = numbers
    header, payload = wire.decode_normal(message(name))

    assert header == NormalHeader(subtype, 1, TIME_S, count)
    assert header.encode() + payload == message(name)


@pytest.mark.parametrize(
    ("name", "subtype", "count"),
    [
        ("kv_update_nodeip", 1, 1),
        ("kv_update_remove", 1, 2),
        ("kv_log", 3, 3),
        ("kv_update_rrd", 1, 4),
    ],
)
def test_the_header_of_a_status_message(name: str, subtype: int, count: int) -> None:
    header, _ = wire.decode_normal(message(name))

    assert header == NormalHeader(subtype, 0, TIME_S, count)


def test_the_request_of_a_verification() -> None:
    _, payload = wire.decode_state(message("verify_request"))

    assert payload == wire.encode_verify_request(1)


def test_the_checksum_of_a_verification() -> None:
    _, payload = wire.decode_state(message("verify"))

    assert payload == wire.encode_verify(1, message("tree_checksum"))
