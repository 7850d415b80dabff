"""The daemon's side of the IPC service: runs the porter and answers what it brings.

A porter that dies or no longer answers is replaced; the mount does not notice.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from errno import EADDRINUSE, EFBIG
from pathlib import Path
from typing import NoReturn

import structlog
import trio

from pmxcfs.beat import beat
from pmxcfs.ipc import frames, requests
from pmxcfs.ipc.clients import Client
from pmxcfs.ipc.freshness import Page
from pmxcfs.ipc.line import Line
from pmxcfs.ipc.steps import Steps, watched_by

log = structlog.get_logger("ipcs")

RESTART_PAUSE_S = 1.0
PING_PERIOD_S = 10.0
"""How often the porter is asked whether it is there."""

SILENT_PIECES_MAX = 20
SILENT_PIECE_S = 0.5
"""How long it may take to answer, in pieces."""

END_WAIT_S_MAX = 2.0

SHARED_MEMORY = Path("/dev/shm")

_ISOLATED = ("-P", "-s")
"""No module comes from the directory that we were started in, or from somebody's home."""

_KNOWN = ("PYTHON", "PMXCFS_", "LANG", "LC_", "PATH", "LD_LIBRARY_PATH")
"""What the porter gets of our environment; whatever else may be secret is none of its clients'."""

Answers = Callable[[Client, bytes], bytes]
Lasts = Callable[[bytes], bool]


class IpcService:
    """Serves management tools through libqb.

    Args:
        name: of the service; clients know it as ``pve2``.
        gid: of the group that may connect beside root.
        answer: returns the response to a request; it must not wait.
        lasts: tells whether a request has the same response for all, until something changes.

    Attributes:
        page: what is shared with the porter.
    """

    def __init__(
        self, name: str, gid: int, answer: Answers, lasts: Lasts = lambda request: False
    ) -> None:
        self.page = Page()
        self._steps = Steps(self.page)
        self._lasts = lasts
        self._name = name
        self._gid = gid
        self._answer = answer
        self._is_heard = trio.Event()
        self._is_settled = trio.Event()
        self._has_complained = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. It counts as started once clients can connect, or cannot.

        The file system is worth more than this service, so that goes on when this cannot.
        """
        with watched_by(self._steps):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_started, task_status)
                await self._serve_on()

    async def _serve_on(self) -> NoReturn:
        while True:
            self._is_heard = trio.Event()
            try:
                self._tell_end(await self._serve_once())
            except* Exception as failures:
                # The file system is worth more than this service.
                log.exception("the IPC service failed, starting it again", exc_info=failures)
            self._is_settled.set()
            await trio.sleep(RESTART_PAUSE_S)

    async def _tell_started(self, task_status: trio.TaskStatus[None]) -> None:
        await self._is_settled.wait()
        task_status.started()

    async def _serve_once(self) -> trio.Process:
        """Serve with one porter until it ends."""
        async with self._porter() as (process, line), trio.open_nursery() as watching:
            watching.start_soon(self._watch, process, line)
            watching.start_soon(self._send_the_rest, line)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve, line)
                nursery.start_soon(_tell_complaints, process)
            watching.cancel_scope.cancel()
        return process

    @asynccontextmanager
    async def _porter(self) -> AsyncIterator[tuple[trio.Process, Line]]:
        """Have a porter; it ends when its line does."""
        ours, theirs = socket.socketpair()
        with theirs:
            fds = theirs.fileno(), self.page.fd
            arguments = *map(str, fds), self._name, str(self._gid)
            process = await trio.lowlevel.open_process(
                [sys.executable, *_ISOLATED, "-m", "pmxcfs.ipc.porter", *arguments],
                env={name: text for name, text in os.environ.items() if name.startswith(_KNOWN)},
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        line = Line(ours)
        try:
            yield process, line
        finally:
            with trio.CancelScope(shield=True):
                line.close()
                with trio.move_on_after(END_WAIT_S_MAX):
                    await process.wait()
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            _clean_up_after(process.pid)

    async def _watch(self, process: trio.Process, line: Line) -> None:
        """Kill a porter that does not answer: nobody else can end it."""
        while await self._hears():
            await beat(PING_PERIOD_S)
            self._is_heard = trio.Event()
            line.send(frames.PING)
        log.warning("the IPC porter does not answer, ending it", pid=process.pid)
        process.kill()

    async def _hears(self) -> bool:
        """Wait for a sign of life; false if there is none in time.

        In pieces, so that time in which we were stopped ourselves counts little.
        """
        for _ in range(SILENT_PIECES_MAX):
            with trio.move_on_after(SILENT_PIECE_S):
                await self._is_heard.wait()
                return True
        return False

    async def _serve(self, line: Line) -> None:
        reader = frames.FrameReader(frames.REQUEST)
        with self._steps.spared():
            while data := await line.receive():
                for number, state, response in self._responses(reader, data):
                    line.send(frames.RESPONSE.pack(len(response), number, state) + response)

    async def _send_the_rest(self, line: Line) -> None:
        with self._steps.spared():
            await line.send_the_rest()

    def _responses(
        self, reader: frames.FrameReader, data: bytes
    ) -> Iterator[tuple[int, int, bytes]]:
        for (number, pid, uid, gid, buffer_bytes), request in reader.feed(data):
            if number == frames.NO_CONNECTION:
                self._is_heard.set()
                self._is_settled.set()
            else:
                client = Client(pid, uid, gid, buffer_bytes)
                yield number, *self._respond(client, request)

    def _respond(self, client: Client, request: bytes) -> tuple[int, bytes]:
        """Return the response, and the state for which it holds; 0 if it is for this client."""
        lasts = self._lasts(request)
        if not lasts:
            self.page.move_on()  # it may change something, and others be told of it
        response = self._answer(client, request)
        if lasts and requests.error_of(response) != EFBIG:  # that is the client's own buffer
            return self.page.state, response
        return 0, response

    def _tell_end(self, process: trio.Process) -> None:
        status = process.returncode
        if status == EADDRINUSE:
            if not self._has_complained:
                log.error(
                    "another process serves IPC clients under our name; end it, or use --ipc-name",
                    name=self._name,
                )
            self._has_complained = True
            return
        self._has_complained = False
        reason = signal.Signals(-status).name if status and status < 0 else os.strerror(status or 0)
        log.warning("the IPC porter has ended, starting another", pid=process.pid, reason=reason)


async def _tell_complaints(process: trio.Process) -> None:
    """Log what the porter says, which is nothing unless something is wrong with it."""
    assert process.stderr is not None, "it was started with a pipe"
    async with process.stderr:
        async for text in process.stderr:
            log.error("the IPC porter complains", text=text.decode(errors="replace"))


def _clean_up_after(pid: int) -> None:
    """Remove the shared memory of a porter that did not: it was killed, or misled by a client."""
    for directory in SHARED_MEMORY.glob(f"qb-{pid}-*"):
        shutil.rmtree(directory, ignore_errors=True)
