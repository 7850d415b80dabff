"""The status socket: who connects reads one line of JSON, whatever the mount and the quorum do."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import structlog
import trio

log = structlog.get_logger("main")

SOCKET_NAME = "status.sock"
CLIENT_WAIT_S_MAX = 5
"""A client that does not read is let go after this long."""


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
        listener = self._listen()
        try:
            task_status.started()
            await trio.serve_listeners(self._serve, [listener])
        finally:
            self._path.unlink(missing_ok=True)

    def _listen(self) -> trio.SocketListener:
        self._path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o117)
        try:
            server.bind(str(self._path))
        finally:
            os.umask(umask)
        os.chown(self._path, 0, self._gid)
        server.listen(16)
        return trio.SocketListener(trio.socket.from_stdlib_socket(server))

    async def _serve(self, client: trio.SocketStream) -> None:
        with trio.move_on_after(CLIENT_WAIT_S_MAX):
            try:
                await client.send_all(self._line())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                log.debug("a client of the status socket went away")
        await trio.aclose_forcefully(client)
