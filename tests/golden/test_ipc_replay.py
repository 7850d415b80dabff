"""The recorded IPC exchanges, had again: our answers are the reference's, byte for byte.

Node 1 is relived up to the step in which a client asks everything, first as root, then as
www-data; then every recorded request is put to the handlers, in order.
"""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from pmxcfs import views
from pmxcfs.dfsm.wire import MessageType, decode_base, decode_normal
from pmxcfs.ipc.clients import Client
from pmxcfs.ipc.handlers import Handlers
from pmxcfs.ipc.requests import RequestId
from pmxcfs.replica import Replica
from pmxcfs.status.entry import decode_entry
from pmxcfs.status.messages import Subtype
from pmxcfs.status_driver import StatusDriver
from tests.golden import test_replay as tree_replay
from tests.golden import test_status_replay as status_replay
from tests.golden.reliving import Process
from tests.golden.reliving_status import StatusProcess

VECTORS = Path(__file__).parent / "vectors"

GROUP_GID = 33
BUFFER_BYTES = 1 << 20
ASKED = 65
"""How many requests each of the two made; all are compared."""

UNORDERED = {
    RequestId.GET_VERSION,
    RequestId.GET_GUESTS,
    RequestId.GET_GUEST_PROPERTY,
    RequestId.GET_GUEST_PROPERTIES,
}
"""The order of guests and keys is that of a hash table."""


class Silence:
    """A group in which nobody listens: what we tell was recorded elsewhere."""

    def multicast(self, data: bytes) -> None:
        pass

    def leave(self, *, for_good: bool) -> None:
        raise AssertionError("no request makes us leave")


class Asked:
    """Node 1 as it is before the step, with a clock that follows the recording."""

    def __init__(self, step: str, tmp_path: Path) -> None:
        status = StatusProcess(
            next(status_replay.lives_of(1)), status_replay.CLUSTER, status_replay.original
        )
        status.relive(until=step)
        (self.now_s, _), *_ = exchanges()
        status.node.status.metrics.dump(self.now_s)  # ``.rrd`` had just been read
        driver = StatusDriver(status.node, clock=lambda: self.now_s)
        driver.attach(Silence())
        process = views.Process(status.life.me.pid, status.start_s)
        replica = tree_before(step, tmp_path)
        self.handlers = Handlers(replica, driver, process, GROUP_GID, lambda: self.now_s)


@pytest.mark.parametrize(("step", "gid"), [("14", 0), ("15", GROUP_GID)])
def test_we_answer_what_the_reference_answered(step: str, gid: int, tmp_path: Path) -> None:
    node = Asked("14", tmp_path)
    client = Client(pid_of_client(), 0 if gid == 0 else 33, gid, BUFFER_BYTES)
    asked = 0
    for node.now_s, exchange in exchanges():
        is_now = exchange.step == step
        ours = node.handlers.answer(client if is_now else client._replace(gid=0), exchange.request)
        if is_now:
            assert comparable(ours) == comparable(exchange.response), exchange.request
            asked += 1
    assert asked == ASKED


@dataclass(frozen=True)
class Exchange:
    """A request with its response."""

    step: str
    request: bytes
    response: bytes


def exchanges() -> Iterator[tuple[int, Exchange]]:
    """Yield what was asked in steps 14 and 15, and when (UNIX seconds)."""
    step, request = "", b""
    with lzma.open(VECTORS / "ipc/node1.jsonl.xz") as lines:
        for event in map(json.loads, lines):
            if event["ev"] == "mark":
                step = event["step"].split()[0]
            elif event["ev"] == "ipc_req":
                request = bytes.fromhex(event["hex"])
            elif event["ev"] == "ipc_resp" and step in ("14", "15"):
                yield int(event["t"]), Exchange(step, request, bytes.fromhex(event["hex"]))


def comparable(response: bytes) -> tuple[int, int, Any]:
    """Return errno, size and payload of a response, free of what is left to chance."""
    number, size, error = (
        int.from_bytes(response[at : at + 4], "little", signed=True) for at in (0, 8, 16)
    )
    payload: Any = response[24:]
    if number in UNORDERED and payload:
        payload = json.loads(payload)
        size = 0
    elif number == RequestId.GET_METRICS:
        payload = sorted(payload.split(b"\n"))
    elif number == RequestId.GET_LOG:
        payload = payload.replace(status_replay.NOT_JSON, status_replay.JSON)
        size = 0
    return error, size, payload


def pid_of_client() -> int:
    """Return the process id that asked in step 14, which its log entries tell."""
    life = next(status_replay.lives_of(1))
    marks = [i for i, e in enumerate(life.events) if e["ev"] == "mark" and e["step"][:2] == "14"]
    for event in life.events[marks[0] :]:
        data = bytes.fromhex(event.get("hex", ""))
        if event["ev"] != "send" or decode_base(data).type != MessageType.NORMAL:
            continue
        header, payload = decode_normal(data)
        if header.subtype == Subtype.LOG:
            return decode_entry(payload).pid
    raise AssertionError("nothing was logged")


def tree_before(step: str, tmp_path: Path) -> Replica:
    """Return node 1 with its tree as it is before the step."""
    with lzma.open(VECTORS / "cpg/node1.jsonl.xz") as lines:
        events = [json.loads(line) for line in lines]
    (until,) = {e["t"] for e in events if e["ev"] == "mark" and e["step"].startswith(step)}
    life = next(tree_replay.lives_of(1))
    before = list(takewhile(lambda event: event["t"] < until, life.events))
    memdb = tree_replay.first_memdb(1, tmp_path)
    process = Process(memdb, replace(life, events=before))
    process.relive()
    return process.replica
