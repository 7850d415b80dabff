"""The recorded life of the status group, relived: we send what the reference sent, and show it.

See `reliving_status` for how, and what is left to chance.
"""

import json
import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmxcfs import views
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.status.members import ClusterInfo, ClusterNode
from tests.golden.reliving_status import StatusLife, StatusProcess

VECTORS = Path(__file__).parent / "vectors"

SENT = {
    1: {"NORMAL": 42, "SYNC_START": 13, "STATE": 13},
    2: {"NORMAL": 14, "SYNC_START": 1, "STATE": 13},
    3: {"NORMAL": 14, "STATE": 8},
}
"""How many messages each node sent, by type; all of them are compared."""

CLUSTER = ClusterInfo(
    "hG", 1, tuple(ClusterNode(NodeId(number), f"node{number}") for number in (1, 2, 3))
)

ORIGINALS = {
    b'quote \\" back\\ tab#009 nl#010 end': b'quote " back\\ tab\t nl\n end',
    b"utf8 \\u00e4\\u20ac end": "utf8 ä€ end".encode(),
    b"L" * 4026: b"L" * 5000,
}
"""What clients wrote that was logged in another form."""


def original(message: bytes) -> bytes:
    """Return what a client wrote that is logged as this."""
    return ORIGINALS.get(message, message)


VIEWS = [
    ("01", 1, "02"),
    ("02", 2, "03"),
    ("08-node1", 1, "09"),
    ("08-node2", 2, "09"),
    ("10-node3", 3, "11"),
    ("13-node1", 1, "14"),
    ("13-node2", 2, "14"),
    ("13-node3", 3, "14"),
]
"""Recorded views, their nodes, and the step that had not begun when they were recorded."""

NOT_JSON, JSON = b"back\\ tab", b"back\\\\ tab"
"""The only bytes that differ: the reference's cluster log cannot be read by any parser there."""


@pytest.mark.parametrize("node", [1, 2, 3])
def test_we_tell_what_the_reference_told(node: int) -> None:
    sent: Counter[str] = Counter()
    for life in lives_of(node):
        process = StatusProcess(life, CLUSTER, original)
        process.relive()
        sent += process.sent
    assert sent == SENT[node]


@pytest.mark.parametrize(("view", "node", "next_step"), VIEWS)
def test_we_show_what_the_reference_showed(view: str, node: int, next_step: str) -> None:
    shown = json.loads((VECTORS / f"views/{view}.json").read_text())["special"]
    recorded = {name: text.encode() for name, text in shown.items()}
    process = StatusProcess(next(lives_of(node)), CLUSTER, original)
    process.relive(until=next_step)
    status = process.node.status

    assert views.members_text(status, is_quorate=True) == recorded[".members"]
    assert views.clusterlog_text(status) == recorded[".clusterlog"].replace(NOT_JSON, JSON)
    metrics = views.rrd_text(status, process.now_s)
    assert sorted(metrics.splitlines()) == sorted(recorded[".rrd"].rstrip(b"\0").splitlines())
    assert status_part(process.version_text()) == status_part(recorded[".version"])


def test_the_recorded_cluster_log_is_json_as_we_show_it() -> None:
    process = StatusProcess(next(lives_of(1)), CLUSTER, original)
    process.relive(until="14")
    messages = [
        entry["msg"]
        for entry in json.loads(views.clusterlog_text(process.node.status))["data"]
        if entry["tag"] in ("pveproxy", "tag") and not entry["msg"].startswith("L")
    ]
    assert messages == ["utf8 ä€ end", 'quote " back\\ tab#009 nl#010 end']


def status_part(text: bytes) -> list[bytes]:
    """Return start time, clinfo, and what follows the observed files."""
    start, clinfo = text.splitlines()[1:3]
    return [start, clinfo, text.partition(b'"kvstore"')[2]]


def lives_of(node: int) -> Iterator[StatusLife]:
    """Yield the node's processes, each with what happened in the status group."""
    with lzma.open(VECTORS / f"cpg/node{node}.jsonl.xz") as lines:
        events = [json.loads(line) for line in lines]
    lives: list[list[dict[str, Any]]] = []
    for event in events:
        if event["ev"] == "join" and event["group_len"] == len("pve_kvstore_v1") + 1:
            lives.append([])
        elif lives and (event["ev"] == "mark" or event.get("group") == "pve_kvstore_v1"):
            lives[-1].append(event)
    for life in lives:
        changes = (event for event in life if event["ev"] == "confchg")
        (pid,) = {pid for node_id, pid, _ in next(changes)["members"] if node_id == node}
        there = {"t": life[0]["t"], "ev": "join"}
        yield StatusLife(Member(NodeId(node), Pid(pid)), [there, *life])
