"""Answers Prometheus on an address of this machine that no other machine can reach.

It speaks as little HTTP as that takes, on the event loop: one request a connection, and a client
that is slow, or sends something else, is let go.
"""

from collections.abc import Callable

import structlog
import trio

from pmxcfs.metrics.exposition import CONTENT_TYPE
from pmxcfs.options import LocalAddress

log = structlog.get_logger("main")

PATH = b"/metrics"
CLIENT_WAIT_S_MAX = 5
"""A client that does not ask, or does not read, is let go after this long."""

CLIENTS_MAX = 8
REQUEST_BYTES_MAX = 8192
_END_OF_REQUEST = b"\r\n\r\n"


class MetricsListener:
    """A listening TCP socket.

    Args:
        address: where.
        text: returns the metrics.
    """

    def __init__(self, address: LocalAddress, text: Callable[[], bytes]) -> None:
        self._address = address
        self._text = text
        self._clients = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. An address that cannot be had costs only this."""
        try:
            listeners = await trio.open_tcp_listeners(self._address.port, host=self._address.host)
        except OSError as error:
            log.warning("metrics are not served", address=str(self._address), reason=str(error))
            task_status.started()
            return
        log.info("metrics are served", url=f"http://{self._address}{PATH.decode()}")
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, client: trio.SocketStream) -> None:
        self._clients += 1
        try:
            with trio.move_on_after(CLIENT_WAIT_S_MAX):
                if self._clients <= CLIENTS_MAX:
                    await client.send_all(self._answer(await _request_of(client)))
                    await client.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("a client of the metrics listener went away")
        finally:
            self._clients -= 1
            await trio.aclose_forcefully(client)

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b"\r\n")[0].partition(b" ")
        path, _, version = rest.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return _response("400 Bad Request", b"this is no HTTP/1 request\n")
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"only GET\n", ("Allow: GET, HEAD",))
        if path.partition(b"?")[0] != PATH:
            return _response("404 Not Found", b"metrics are at " + PATH + b"\n")
        response = _response("200 OK", self._text(), (f"Content-Type: {CONTENT_TYPE}",))
        return (
            response
            if method == b"GET"
            else response.partition(_END_OF_REQUEST)[0] + (_END_OF_REQUEST)
        )


async def _request_of(client: trio.SocketStream) -> bytes:
    """Return what comes before the empty line, or all that comes if it is too much."""
    request = b""
    while _END_OF_REQUEST not in request and len(request) < REQUEST_BYTES_MAX:
        piece = await client.receive_some()
        if not piece:
            break
        request += piece
    return request


def _response(status: str, body: bytes, headers: tuple[str, ...] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body
