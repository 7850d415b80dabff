"""Requests of the IPC service: junk is refused, and nothing else happens to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmxcfs import views
from pmxcfs.identity import Pid
from pmxcfs.ipc.clients import Client
from pmxcfs.ipc.handlers import Handlers, lasts
from pmxcfs.ipc.requests import RequestId, decode_names
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_driver import StatusDriver
from pmxcfs.status_node import StatusNode

NOW_S = 1_700_000_000
GROUP_GID = 33
SECRET = b"the secret that nobody of the group may read"
ROOT = Client(pid=1, uid=0, gid=0, buffer_bytes=1 << 20)
GROUP = Client(pid=2, uid=33, gid=GROUP_GID, buffer_bytes=1 << 20)

PIECES = st.sampled_from([b"nodes", b"x", b"priv", b"key", b"/", b"//", b".", b"..", b"\0"])


@pytest.fixture(scope="module")
def handlers() -> Handlers:
    memdb = Memdb(Tree.new(), NOW_S)
    for path in (b"nodes", b"nodes/x", b"nodes/x/priv", b"priv"):
        memdb.apply(Mkdir(path), 0, NOW_S, NOW_S)
    for path in (b"nodes/x/priv/key", b"priv/key"):
        memdb.apply(Create(path), 0, NOW_S, NOW_S)
        memdb.apply(Write(path, 0, SECRET), 0, NOW_S, NOW_S)
    replica = Replica(memdb, node_name="x", standalone=True)
    status = StatusDriver(StatusNode(ClusterStatus("x")), clock=lambda: NOW_S)
    process = views.Process(Pid(1), NOW_S)
    return Handlers(replica, status, process, GROUP_GID, lambda: NOW_S)


def request(number: int, payload: bytes) -> bytes:
    size = 16 + len(payload)
    return (
        number.to_bytes(8, "little", signed=True)[:4]
        + bytes(4)
        + size.to_bytes(8, "little")
        + payload
    )


@given(data=st.binary(max_size=700), lie=st.booleans(), number=st.integers(-2, 16))
def test_every_request_gets_one_well_formed_response(
    handlers: Handlers, data: bytes, lie: bool, number: int
) -> None:
    asked = data if lie else request(number, data)
    for client in (ROOT, GROUP):
        response = handlers.answer(client, asked)
        size, error = (int.from_bytes(response[at : at + 4], "little") for at in (8, 16))
        assert size == len(response)
        assert error == 0 or size == 24


@given(pieces=st.lists(PIECES, max_size=9))
def test_no_path_shows_the_group_a_secret(handlers: Handlers, pieces: list[bytes]) -> None:
    asked = request(RequestId.GET_FILE, b"".join(pieces) + b"\0")
    assert SECRET not in handlers.answer(GROUP, asked)


@given(
    number=st.integers(-1, 16),
    pieces=st.lists(PIECES, max_size=9),
    end=st.sampled_from([b"", b"\0", b"\0/x\0", b"x"]),
)
def test_what_the_porter_may_remember_is_answered_alike_to_all_and_is_no_secret(
    handlers: Handlers, number: int, pieces: list[bytes], end: bytes
) -> None:
    asked = request(number, b"".join(pieces) + end)
    if lasts(asked):
        answer = handlers.answer(GROUP, asked)
        assert answer == handlers.answer(ROOT, asked)
        assert SECRET not in answer


@pytest.mark.parametrize("path", [b"priv\0", b"priv\0x\0", b"/nodes//x/priv/key\0", b"privX"])
def test_private_paths_are_not_remembered_however_they_end(path: bytes) -> None:
    assert not lasts(request(RequestId.GET_FILE, path))


@pytest.mark.parametrize(
    "number",
    [RequestId.SET_STATUS, RequestId.LOG, RequestId.GET_METRICS, RequestId.VERIFY_TOKEN, 9, 99],
)
def test_what_changes_something_or_depends_on_time_or_secrets_is_not_remembered(
    number: int,
) -> None:
    assert not lasts(request(number, b"anything\0"))


@given(st.lists(st.from_regex(rb"[a-z][^\x00]{0,20}", fullmatch=True), min_size=1, max_size=255))
def test_names_are_read_back(names: list[bytes]) -> None:
    assert decode_names(bytes([len(names)]) + b"".join(name + b"\0" for name in names)) == names
