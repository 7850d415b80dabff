"""The daemon's side of the IPC service with a real porter, and without a daemon."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from pmxcfs.ipc import service as module
from pmxcfs.ipc.clients import Client
from pmxcfs.ipc.requests import encode_response
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
