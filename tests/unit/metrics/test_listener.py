"""The address where Prometheus asks."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio

from pmxcfs.metrics import listener
from pmxcfs.metrics.listener import CLIENTS_MAX, MetricsListener
from pmxcfs.options import LocalAddress

TEXT = b"pmxcfs_quorate 1.0\n"
ASK = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
HOST = "127.0.0.1"
WITHIN_S = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """Serve a text; give the port."""
    port = free_port()
    async with trio.open_nursery() as nursery:
        await nursery.start(MetricsListener(LocalAddress(HOST, port), lambda: TEXT).run)
        yield port
        nursery.cancel_scope.cancel()


async def ask(port: int, *pieces: bytes) -> bytes:
    """Send pieces one by one, and return all that comes until the other side hangs up."""
    with trio.fail_after(WITHIN_S):
        async with await trio.open_tcp_stream(HOST, port) as stream:
            try:
                for piece in pieces:
                    await stream.send_all(piece)
                return b"".join([piece async for piece in stream])
            except trio.BrokenResourceError:  # it hung up without having read
                return b""


async def test_who_asks_for_metrics_gets_them() -> None:
    async with serving() as port:
        head, _, body = (await ask(port, ASK)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert b"Content-Length: %d\r\n" % len(TEXT) in head
    assert body == TEXT


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /metrics?x=y HTTP/1.0\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/../x HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\0\xff\r\n\r\n", b"400"),
        (b"x" * 10_000, b"400"),
    ],
)
async def test_other_requests_get_an_answer_too(request_text: bytes, status: bytes) -> None:
    async with serving() as port:
        assert (await ask(port, request_text)).split()[1] == status


async def test_a_request_for_the_head_gets_no_body() -> None:
    async with serving() as port:
        answer = await ask(port, ASK.replace(b"GET", b"HEAD"))
    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CLIENT_WAIT_S_MAX", 0.05)
    async with serving() as port:
        assert await ask(port, b"GET /metr") == b""
        assert await ask(port) == b""


async def test_slow_clients_keep_others_out_only_until_they_are_gone() -> None:
    async with serving() as port:
        slow = [await trio.open_tcp_stream(HOST, port) for _ in range(CLIENTS_MAX)]
        with trio.fail_after(WITHIN_S):
            while await ask(port, ASK):  # until all of the slow ones have been accepted
                pass
        for stream in slow:
            await stream.aclose()
        answer = b""
        with trio.fail_after(WITHIN_S):
            while not answer:
                answer = await ask(port, ASK)
        assert answer.endswith(TEXT)


async def test_an_address_that_is_taken_costs_only_the_metrics() -> None:
    with socket.socket() as taken, structlog.testing.capture_logs() as logs:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(MetricsListener(LocalAddress(HOST, port), lambda: TEXT).run)
    assert [line["event"] for line in logs] == ["metrics are not served"]
    assert logs[0]["address"] == f"{HOST}:{port}"
