"""The control socket: one request a connection, within bounds, whoever asks."""

import json
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from pmxcfs import control
from pmxcfs.control import (
    CLIENTS_MAX,
    REQUEST_BYTES_MAX,
    Answerer,
    ControlSocket,
    RefusedError,
    Reply,
    Request,
)


async def echo(request: Request) -> AsyncGenerator[Reply, None]:
    await trio.lowlevel.checkpoint()
    yield {"is_root": request.is_root, "text": request.text("text")}


async def for_ever(request: Request) -> AsyncGenerator[Reply, None]:
    count = request.number("from", 0, 9)
    while True:
        yield {"count": count}
        count += 1
        await trio.sleep(1)


async def refuse(request: Request) -> AsyncGenerator[Reply, None]:
    await trio.lowlevel.checkpoint()
    raise RefusedError("forbidden", "not you")
    yield {}


async def flood(request: Request) -> AsyncGenerator[Reply, None]:
    await trio.lowlevel.checkpoint()
    yield {"flood": "x" * 10_000_000}


WORDS = {
    "echo": Answerer(echo),
    "stream": Answerer(for_ever, streams=True),
    "refuse": Answerer(refuse),
    "refuse-stream": Answerer(refuse, streams=True),
    "flood": Answerer(flood),
}


@pytest.fixture
async def path(tmp_path: Path, nursery: trio.Nursery) -> Path:
    path = tmp_path / "control.sock"
    await nursery.start(ControlSocket(path, os.getgid(), WORDS).run)
    return path


def line(word: str, **arguments: object) -> bytes:
    return json.dumps({"version": 1, "request": word, **arguments}).encode() + b"\n"


async def ask(path: Path, request: bytes) -> list[Any]:
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(request)
        with trio.fail_after(20):
            answer = b"".join([chunk async for chunk in stream])
    return [json.loads(each) for each in answer.splitlines()]


async def test_a_request_is_answered_and_the_kernel_says_who_asks(path: Path) -> None:
    [reply] = await ask(path, line("echo", text="hello"))
    assert reply == {"version": 1, "is_root": os.getuid() == 0, "text": "hello"}


@pytest.mark.parametrize(
    ("request_line", "code"),
    [
        (b"\n", "bad-request"),
        (b"junk\n", "bad-request"),
        (b"\xff\xfe\n", "bad-request"),
        (b"[1]\n", "bad-request"),
        (b"[" * 4000 + b"\n", "bad-request"),
        (b'{"request": 5, "version": 1}\n', "bad-request"),
        (b'{"request": "echo"}\n', "version"),
        (b'{"request": "echo", "version": 2}\n', "version"),
        (line("nothing"), "unknown"),
        (line("echo", text=5), "bad-request"),
        (line("stream", **{"from": 10}), "bad-request"),
        (line("stream", **{"from": True}), "bad-request"),
        (line("refuse"), "forbidden"),
        (line("refuse-stream"), "forbidden"),
        (b"x" * (REQUEST_BYTES_MAX + 1), "bad-request"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(
    path: Path, request_line: bytes, code: str
) -> None:
    [reply] = await ask(path, request_line)
    assert reply["error"]["code"] == code
    assert reply["error"]["sentence"]
    assert (await ask(path, line("echo")))[0]["text"] == ""


async def test_a_stream_goes_on_until_the_client_closes(path: Path, autojump_clock: object) -> None:
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(line("stream"))
        received = b""
        while received.count(b"\n") < 20:
            received += await stream.receive_some()
    assert json.loads(received.splitlines()[19])["count"] == 19


async def test_who_says_nothing_is_let_go(path: Path, autojump_clock: object) -> None:
    assert await ask(path, b"") == []
    assert await ask(path, b'{"requ') == []


async def test_who_does_not_read_a_reply_is_let_go(path: Path, autojump_clock: object) -> None:
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(line("flood"))
        await trio.sleep(control.CLIENT_WAIT_S_MAX + 1)
        received = 0
        async for chunk in stream:
            received += len(chunk)
    assert received < 10_000_000


async def test_too_many_clients_are_refused_and_places_come_back(path: Path) -> None:
    clients = [await trio.open_unix_socket(str(path)) for _ in range(CLIENTS_MAX)]
    for client in clients:
        await client.send_all(line("stream"))
        await client.receive_some()
    [reply] = await ask(path, line("echo"))
    assert reply["error"]["code"] == "busy"
    for client in clients:
        await client.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert (await ask(path, line("echo")))[0]["text"] == ""


async def test_others_never_take_the_places_of_root(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = iter([False] * CLIENTS_MAX + [True])
    monkeypatch.setattr(control, "_is_root", lambda client: next(asker))
    clients = [await trio.open_unix_socket(str(path)) for _ in range(CLIENTS_MAX)]
    for client in clients:
        await client.send_all(line("stream"))
        await client.receive_some()
    assert (await ask(path, line("echo")))[0]["is_root"] is True
    for client in clients:
        await client.aclose()


async def test_a_client_that_breaks_off_disturbs_nobody(path: Path) -> None:
    for word in ("echo", "stream", "flood"):
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(str(path))
        plain.send(line(word))
        plain.close()
    await trio.testing.wait_all_tasks_blocked()
    assert (await ask(path, line("echo", text="still here")))[0]["text"] == "still here"
