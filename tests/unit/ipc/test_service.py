"""The daemon's side of the IPC service with a real porter, and without a daemon."""

import os
import signal
import sys
from collections.abc import Callable
from errno import EFBIG
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from pmxcfs.ipc import service as module
from pmxcfs.ipc.clients import Client
from pmxcfs.ipc.requests import encode_refusal, encode_response
from pmxcfs.ipc.service import IpcService
from tests.e2e.ipc_client import Connection

NAME = f"pve2-unit-{os.getpid()}"
GID = os.getgid()
WITHIN_S = 30
POLL_S = 0.02


def echo(client: Client, request: bytes) -> bytes:
    assert (client.pid, client.uid, client.gid) == (os.getpid(), os.geteuid(), GID)
    return encode_response(request[0], request[16:])


def ask(count: int, payload: bytes) -> None:
    connection = Connection(NAME.encode())
    for _ in range(count):
        assert connection.ask(1, payload) == (0, payload)
    connection.close()


async def test_signs_of_life_and_responses_do_not_mix(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_PERIOD_S", 0.0001)
    with capture_logs() as logs, trio.fail_after(WITHIN_S):
        await nursery.start(IpcService(NAME, GID, echo).run)
        await trio.to_thread.run_sync(ask, 300, b"x" * 70_000)
        nursery.cancel_scope.cancel()
    assert logs == []


async def test_a_porter_that_hangs_is_replaced(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    porters = _count_porters(monkeypatch)
    monkeypatch.setattr(module, "PING_PERIOD_S", 0.01)
    with capture_logs() as logs, trio.fail_after(WITHIN_S):
        await nursery.start(IpcService(NAME, GID, echo).run)
        monkeypatch.setattr(module, "SILENT_PIECE_S", 0.15)
        os.kill(porters[0].pid, signal.SIGSTOP)
        await _until(lambda: len(porters) > 1)
        await _until(_answers)
        nursery.cancel_scope.cancel()
    assert [entry["event"] for entry in logs[:2]] == [
        "the IPC porter does not answer, ending it",
        "the IPC porter has ended, starting another",
    ]


async def test_a_failure_of_the_service_is_not_the_end_of_the_daemon(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(client: Client, request: bytes) -> bytes:
        raise ValueError("on purpose")

    service = IpcService(NAME, GID, fail)
    with capture_logs() as logs, trio.fail_after(WITHIN_S):
        await nursery.start(service.run)
        with pytest.raises(OSError, match="no answer"):
            await trio.to_thread.run_sync(ask, 1, b"")
        service._answer = echo
        await _until(_answers)
        nursery.cancel_scope.cancel()
    assert logs[0]["event"] == "the IPC service failed, starting it again"


async def test_while_nothing_happens_the_porter_answers_by_itself(nursery: trio.Nursery) -> None:
    asked: list[bytes] = []

    def answer(client: Client, request: bytes) -> bytes:
        asked.append(request)
        return echo(client, request)

    service = IpcService(NAME, GID, answer, lasts=lambda request: True)
    with trio.fail_after(WITHIN_S):
        await nursery.start(service.run)
        await trio.to_thread.run_sync(ask, 500, b"x" * 70_000)
        nursery.cancel_scope.cancel()
    assert 1 <= len(asked) < 100, "some answers have been made anew: other tasks had their turns"
    assert service.page.counts() == {1: 500 - len(asked)}


async def test_what_a_task_has_changed_every_client_sees_from_then_on(
    nursery: trio.Nursery,
) -> None:
    value = 0

    def answer(client: Client, request: bytes) -> bytes:
        return encode_response(request[0], b"%d" % value)

    def ask_some(connection: Connection) -> list[tuple[int, bytes]]:
        return [connection.ask(1) for _ in range(3)]

    with trio.fail_after(WITHIN_S):
        await nursery.start(IpcService(NAME, GID, answer, lasts=lambda request: True).run)
        connection = await trio.to_thread.run_sync(Connection, NAME.encode())
        for number in range(300):
            value = number
            seen = await trio.to_thread.run_sync(ask_some, connection)
            assert seen == [(0, b"%d" % number)] * 3
        connection.close()
        nursery.cancel_scope.cancel()


async def test_what_a_request_has_changed_every_client_sees_from_then_on(
    nursery: trio.Nursery,
) -> None:
    value = b""

    def answer(client: Client, request: bytes) -> bytes:
        nonlocal value
        if request[0] == 4:
            value = request[16:]
        return encode_response(request[0], value)

    def change_and_ask() -> None:
        one, other = Connection(NAME.encode()), Connection(NAME.encode())
        for number in range(300):
            assert other.ask(1)[0] == 0
            one.ask(4, b"%d" % number)
            assert other.ask(1) == one.ask(1) == (0, b"%d" % number)
        one.close()
        other.close()

    with trio.fail_after(WITHIN_S):
        service = IpcService(NAME, GID, answer, lasts=lambda request: request[0] == 1)
        await nursery.start(service.run)
        await trio.to_thread.run_sync(change_and_ask)
        assert service.page.counts()[1] > 0
        nursery.cancel_scope.cancel()


async def test_a_small_buffer_of_one_client_is_no_answer_for_others(nursery: trio.Nursery) -> None:
    long = bytes(3 << 19)

    def answer(client: Client, request: bytes) -> bytes:
        response = encode_response(1, long)
        return response if len(response) <= client.buffer_bytes else encode_refusal(1, EFBIG)

    def ask_twice() -> None:
        small, large = Connection(NAME.encode()), Connection(NAME.encode(), 2 << 20)
        for _ in range(50):
            assert small.ask(1)[0] == EFBIG
            assert large.ask(1) == (0, long)
        small.close()
        large.close()

    with trio.fail_after(WITHIN_S):
        await nursery.start(IpcService(NAME, GID, answer, lasts=lambda request: True).run)
        await trio.to_thread.run_sync(ask_twice)
        nursery.cancel_scope.cancel()


async def _until(check: Callable[[], bool]) -> None:
    while not await trio.to_thread.run_sync(check):  # noqa: ASYNC110 - it is another process that is waited for
        await trio.sleep(POLL_S)


def _answers() -> bool:
    try:
        ask(1, b"")
    except OSError:
        return False
    return True


def _count_porters(monkeypatch: pytest.MonkeyPatch) -> list[trio.Process]:
    porters: list[trio.Process] = []
    open_process = trio.lowlevel.open_process

    async def counted(*arguments: Any, **options: Any) -> trio.Process:  # noqa: ANN401
        porters.append(await open_process(*arguments, **options))
        return porters[-1]

    monkeypatch.setattr(trio.lowlevel, "open_process", counted)
    return porters


async def test_the_porter_takes_no_module_from_where_it_was_started_and_no_secret(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    porters = _count_porters(monkeypatch)
    (tmp_path / "select.py").write_text(f"open({str(tmp_path / 'hijacked')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_PASSWORD", "of somebody")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    with trio.fail_after(WITHIN_S):
        await nursery.start(IpcService(NAME, GID, echo).run)
        environment = await trio.Path(f"/proc/{porters[0].pid}/environ").read_bytes()
        assert await trio.to_thread.run_sync(_answers)
        nursery.cancel_scope.cancel()
    assert not (tmp_path / "hijacked").exists()
    assert b"A_PASSWORD" not in environment
