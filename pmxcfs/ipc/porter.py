"""The porter: a process that lets clients in and carries requests and responses; it knows no more.

It is started by the daemon as ``python -m pmxcfs.ipc.porter FD PAGE NAME GID``: the numbers of its
end of a socket pair and of the shared page, the service name, and the group that may connect. It
ends when the daemon does.
"""

import os
import resource
import select
import signal
import socket
import sys
from typing import NoReturn

from pmxcfs.ipc import frames
from pmxcfs.ipc.clients import Client, may_connect
from pmxcfs.ipc.confinement import confine
from pmxcfs.ipc.door import CONNECTIONS_MAX, NEWCOMERS_MAX, Door
from pmxcfs.ipc.freshness import Page
from pmxcfs.ipc.remembering import Answers

DESCRIPTORS = CONNECTIONS_MAX + NEWCOMERS_MAX + 128
READ_BYTES = 256 * 1024


class Porter:
    """One loop over libqb's descriptors and the line to the daemon; nothing in it blocks.

    Args:
        line: our end of the socket pair.
        page: tells whether what was answered is still so.
        name: of the service.
        gid: of the group that may connect beside root.
    """

    def __init__(self, line: socket.socket, page: Page, name: str, gid: int) -> None:
        line.setblocking(False)
        self._answers = Answers(page)
        self._asked: dict[int, bytes] = {}
        self._line = line
        self._arrived = memoryview(bytearray(READ_BYTES))
        self._door = Door(name, lambda uid, who: may_connect(uid, who, gid), self._take)
        self._reader = frames.FrameReader(frames.RESPONSE)
        self._outgoing = bytearray()
        self._is_writing = False

    def run(self) -> None:
        """Serve until the daemon's end of the line is closed.

        Raises:
            OSError: the service name cannot be had.
        """
        self._door.open()
        try:
            confine()
        except OSError as error:  # as in the reference then, which has no walls
            print(f"not confined, {error}: see docs/SECURITY.md", file=sys.stderr, flush=True)
        self._door.poll.register(self._line, select.EPOLLIN)
        self._send(frames.PONG)
        self._flush()
        try:
            while self._serve_once():
                pass
        finally:
            self._door.close()

    def _serve_once(self) -> bool:
        """Do what is to be done; false once the daemon is gone."""
        ours = self._line.fileno()
        for fd, events in self._door.poll.poll(self._door.wait_s(), 1):
            if fd != ours:
                self._door.react(fd, events)
            elif not self._serve_line(events):
                return False
        self._door.tend()
        if self._outgoing:
            self._flush()
        return True

    def _serve_line(self, events: int) -> bool:
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            try:
                data = bytes(self._arrived[: self._line.recv_into(self._arrived)])
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            for (number, state), response in self._reader.feed(data):
                if number == frames.NO_CONNECTION:
                    self._send(frames.PONG)
                else:
                    self._pass_on(number, state, response)
            return bool(data)
        return True

    def _pass_on(self, number: int, state: int, response: bytes) -> None:
        request = self._asked.pop(number)
        if state:
            self._answers.remember(request, response, state)
        self._door.answer(number, response)

    def _take(self, number: int, client: Client, request: bytes) -> bytes | None:
        """Answer a request as it was answered before, or carry it to the daemon."""
        answer = self._answers.find(request, client.buffer_bytes)
        if answer is None:
            self._asked[number] = request
            self._carry(number, client, request)
        return answer

    def _carry(self, number: int, client: Client, request: bytes) -> None:
        self._send(
            frames.REQUEST.pack(
                len(request), number, client.pid, client.uid, client.gid, client.buffer_bytes
            )
            + request
        )

    def _send(self, frame: bytes) -> None:
        self._outgoing += frame

    def _flush(self) -> None:
        try:
            sent = self._line.send(self._outgoing)
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            self._outgoing.clear()  # the daemon is gone: we shall read the end of the line
            return
        del self._outgoing[:sent]
        if bool(self._outgoing) != self._is_writing:
            self._is_writing = not self._is_writing
            write = select.EPOLLOUT if self._is_writing else 0
            self._door.poll.modify(self._line, select.EPOLLIN | write)


def main(arguments: list[str]) -> NoReturn:
    """Serve, and exit with 0 or, if the service cannot start, with the errno."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what is told to the daemon, the daemon does
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    fd, page, name, gid = arguments
    os.umask(0o077)
    try:
        Porter(socket.socket(fileno=int(fd)), Page(int(page)), name, int(gid)).run()
    except OSError as error:
        sys.exit(error.errno or 1)
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
