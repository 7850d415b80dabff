"""The daemon's sockets for people's tools, which answer whatever the mount and the quorum do.

``status.sock``: who connects reads one line of JSON. ``control.sock``: who connects sends one line,
a request, and reads one line of JSON for each answer.

Source: docs/PROTOCOL.md, "The control socket".
"""

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import trio

log = structlog.get_logger("main")

SOCKET_NAME = "status.sock"
CONTROL_NAME = "control.sock"
PROTOCOL_VERSION = 1

CLIENT_WAIT_S_MAX = 5
"""A client that does not read, or does not say what it wants, is let go after this long."""

REST_WAIT_S = 0.05

REQUEST_BYTES_MAX = 4096
CLIENTS_MAX = 16
"""How many clients root, and how many all others together, may have at a time."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

Reply = dict[str, Any]


class RefusedError(Exception):
    """A request cannot be answered; the text says why."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants to know, and whether it may see what is root's."""

    word: str
    is_root: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a string among the arguments; empty if it is missing.

        Raises:
            RefusedError: it is none.
        """
        value = self.arguments.get(name, "")
        if not isinstance(value, str):
            raise RefusedError("bad-request", f"{name} has to be a string")
        return value

    def number(self, name: str, default: int, greatest: int) -> int:
        """Return a number from 0 to ``greatest`` among the arguments.

        Raises:
            RefusedError: it is none.
        """
        value = self.arguments.get(name, default)
        if type(value) is not int or not 0 <= value <= greatest:
            raise RefusedError("bad-request", f"{name} has to be a number from 0 to {greatest}")
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value among the arguments; false if it is missing.

        Raises:
            RefusedError: it is none.
        """
        value = self.arguments.get(name, False)
        if not isinstance(value, bool):
            raise RefusedError("bad-request", f"{name} has to be true or false")
        return value


@dataclass(frozen=True, slots=True)
class Answerer:
    """How one word is answered: ``replies`` yields values; one that ``streams`` may never end."""

    replies: Callable[[Request], AsyncGenerator[Reply, None]]
    streams: bool = False


def parse_request(line: bytes, *, is_root: bool) -> Request:
    """Read a request.

    Raises:
        RefusedError: it is none that this version understands.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise RefusedError("bad-request", "the request is not a line of JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("request"), str):
        raise RefusedError("bad-request", "the request has no request in it")
    if value.get("version") != PROTOCOL_VERSION:
        sentence = f"this daemon speaks version {PROTOCOL_VERSION} only"
        raise RefusedError("version", sentence)
    arguments = {key: item for key, item in value.items() if key not in ("request", "version")}
    return Request(value["request"], is_root, arguments)


class StatusSocket:
    """A listening unix socket in the run directory.

    Args:
        path: where the socket is made; a leftover is replaced.
        gid: the group that may connect, beside root.
        line: returns the text that a client gets.
    """

    def __init__(self, path: Path, gid: int, line: Callable[[], bytes]) -> None:
        self._path = path
        self._gid = gid
        self._line = line

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        with _listening(self._path, self._gid) as listener:
            task_status.started()
            await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, client: trio.SocketStream) -> None:
        with trio.move_on_after(CLIENT_WAIT_S_MAX):
            try:
                await client.send_all(self._line())
            except _GONE:
                log.debug("a client of the status socket went away")
        await trio.aclose_forcefully(client)


class ControlSocket:
    """The socket that answers requests.

    Args:
        path: where the socket is made; a leftover is replaced.
        gid: the group that may connect, beside root.
        answerers: by the word of the request.
    """

    def __init__(self, path: Path, gid: int, answerers: Mapping[str, Answerer]) -> None:
        self._path = path
        self._gid = gid
        self._answerers = answerers
        self._clients = {True: 0, False: 0}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        with _listening(self._path, self._gid) as listener:
            task_status.started()
            await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, client: trio.SocketStream) -> None:
        try:
            with self._place(is_root=_is_root(client)) as is_root:
                await self._answer(client, is_root=is_root)
        except RefusedError as refusal:
            error = {"code": refusal.code, "sentence": str(refusal)}
            with trio.move_on_after(CLIENT_WAIT_S_MAX), suppress(*_GONE):
                await _send(client, {"error": error})
                await _read_rest(client)
        except _GONE:
            log.debug("a client of the control socket went away")
        await trio.aclose_forcefully(client)

    @contextmanager
    def _place(self, *, is_root: bool) -> Iterator[bool]:
        """Have a place among the clients; root's are not taken by others."""
        if self._clients[is_root] >= CLIENTS_MAX:
            raise RefusedError("busy", f"there are {CLIENTS_MAX} clients already; try again")
        self._clients[is_root] += 1
        try:
            yield is_root
        finally:
            self._clients[is_root] -= 1

    async def _answer(self, client: trio.SocketStream, *, is_root: bool) -> None:
        with trio.move_on_after(CLIENT_WAIT_S_MAX) as patience:
            request = parse_request(await _read_line(client), is_root=is_root)
            answerer = self._answerers.get(request.word)
            if answerer is None:
                known = ", ".join(sorted(self._answerers))
                raise RefusedError("unknown", f"there is no such request; there are {known}")
            if answerer.streams:
                patience.deadline = float("inf")
                await _while_there(client, answerer, request)
            else:
                await _reply_all(client, answerer, request)


async def _while_there(client: trio.SocketStream, answerer: Answerer, request: Request) -> None:
    """Answer until the client closes its side; however slow it is, only it waits."""
    refusal: RefusedError | None = None
    async with trio.open_nursery() as nursery:

        async def answer() -> None:
            nonlocal refusal
            try:
                await _reply_all(client, answerer, request)
            except RefusedError as error:
                refusal = error
            except _GONE:
                log.debug("a watching client went away")
            nursery.cancel_scope.cancel()

        nursery.start_soon(answer)
        try:
            while await client.receive_some(REQUEST_BYTES_MAX):
                pass
        except _GONE:
            log.debug("a watching client broke off")
        nursery.cancel_scope.cancel()
    if refusal is not None:
        raise refusal


async def _reply_all(client: trio.SocketStream, answerer: Answerer, request: Request) -> None:
    async with aclosing(answerer.replies(request)) as replies:
        async for reply in replies:
            await _send(client, reply)


async def _send(client: trio.SocketStream, reply: Reply) -> None:
    await client.send_all(json.dumps({"version": PROTOCOL_VERSION, **reply}).encode() + b"\n")


async def _read_rest(client: trio.SocketStream) -> None:
    """Read what is there: who closes before that resets the connection."""
    with trio.move_on_after(REST_WAIT_S):
        await client.receive_some(REQUEST_BYTES_MAX)


async def _read_line(client: trio.SocketStream) -> bytes:
    line = b""
    while b"\n" not in line:
        piece = await client.receive_some(REQUEST_BYTES_MAX)
        line += piece
        if not piece:
            break
        if len(line) > REQUEST_BYTES_MAX:
            raise RefusedError("bad-request", f"a request has at most {REQUEST_BYTES_MAX} bytes")
    return line.partition(b"\n")[0]


def _is_root(client: trio.SocketStream) -> bool:
    """Ask the kernel whether the process that connected was root's."""
    blob = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    assert isinstance(blob, bytes)
    _, uid, _ = _CREDENTIALS.unpack(blob)
    return bool(uid == 0)


@contextmanager
def _listening(path: Path, gid: int) -> Iterator[trio.SocketListener]:
    """Listen at a path that only root and one group may connect to."""
    path.unlink(missing_ok=True)
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o117)
        try:
            server.bind(str(path))
        finally:
            os.umask(umask)
        os.chown(path, 0, gid, follow_symlinks=False)
        server.listen(16)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(server))
    finally:
        path.unlink(missing_ok=True)
