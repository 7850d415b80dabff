"""A client of rrdcached that never waits longer than it was told to.

librrd has one too, which waits for ever. Of the protocol only UPDATE is spoken: a line is sent, and
a line with a number comes back, at least 0 if all is well and then the number of further lines.

Source: rrdcached(1), "PROTOCOL".
"""

import socket
import time
from errno import ECONNREFUSED, ENOENT
from pathlib import Path

from pmxcfs.rrd.files import FileRefusedError

ANSWER_BYTES_MAX = 4096
"""A line of an answer is far shorter."""


class NotRunningError(Exception):
    """Nobody listens."""


class SilentError(Exception):
    """It does not answer in time, or talks nonsense."""


class Rrdcached:
    """A connection that is made when it is needed, and kept.

    Args:
        path: its unix socket.
        answer_s_max: how long one value may take, with all that belongs to it.
    """

    def __init__(self, path: Path, answer_s_max: float) -> None:
        self._path = path
        self._answer_s_max = answer_s_max
        self._socket: socket.socket | None = None
        self._deadline_s = 0.0
        self._rest = b""

    def update(self, path: Path, text: str) -> None:
        """Hand over a value for a file that is there.

        Raises:
            NotRunningError: it is not there; the value is not written.
            SilentError: it did not answer; nobody knows whether the value will be written.
            FileRefusedError: it answered that it does not take the value.
        """
        self._deadline_s = time.monotonic() + self._answer_s_max
        request = f"UPDATE {_quoted(str(path))} {_quoted(text)}\n".encode()
        try:
            status, _, sentence = self._ask(request).partition(" ")
            count = int(status)
            for _ in range(count):
                self._line()
        except (OSError, ValueError) as error:
            self.close()
            raise SilentError(str(error)) from error
        if count < 0:
            raise FileRefusedError(sentence)

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _ask(self, request: bytes) -> str:
        """Send a request and return the first line of the answer."""
        if self._socket is not None:
            try:
                return self._exchange(request)
            except (ConnectionError, EOFError):  # it was restarted since the last time
                self.close()
        self._connect()
        try:
            return self._exchange(request)
        except EOFError as error:
            raise ConnectionError("it hung up") from error

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._within_time().connect(str(self._path))
        except OSError as error:
            if error.errno in (ENOENT, ECONNREFUSED):
                self.close()
                raise NotRunningError from None
            raise

    def _exchange(self, request: bytes) -> str:
        self._within_time().sendall(request)
        return self._line()

    def _line(self) -> str:
        while b"\n" not in self._rest:
            if len(self._rest) > ANSWER_BYTES_MAX:
                raise ValueError("the answer has no end")
            piece = self._within_time().recv(ANSWER_BYTES_MAX)
            if not piece:
                raise EOFError
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def _within_time(self) -> socket.socket:
        """Return the connection, set to wait no longer than what is left of the time."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        assert self._socket is not None
        self._socket.settimeout(left_s)
        return self._socket


def _quoted(word: str) -> str:
    """Return a word with its blanks and backslashes marked as part of it."""
    return word.replace("\\", "\\\\").replace(" ", "\\ ")
