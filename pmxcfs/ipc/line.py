"""The daemon's end of the line to the porter: sending never waits, so that nobody waits to send.

What the porter does not take is bounded: it has one request under way for each client.
"""

import socket

import trio

READ_BYTES = 256 * 1024
"""Read into one buffer for good: to have that much for each time costs more than to read it."""


class Line:
    """A connected stream socket, and what is still to be sent on it."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._arrived = memoryview(bytearray(READ_BYTES))
        self._unsent = bytearray()
        self._has_unsent = trio.Event()

    async def receive(self) -> bytes:
        """Return the next piece of the stream; empty if the other end is closed."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                count = self._socket.recv_into(self._arrived)
                return bytes(self._arrived[:count])
            except BlockingIOError:
                continue
            except ConnectionError:
                return b""

    def send(self, data: bytes) -> None:
        """Send, at once as far as there is room. Nothing happens if the other end is closed."""
        self._unsent += data
        self._send_what_fits()

    async def send_the_rest(self) -> None:
        """Send what there was no room for, until cancelled."""
        while True:
            await self._has_unsent.wait()
            await trio.lowlevel.wait_writable(self._socket)
            self._send_what_fits()

    def close(self) -> None:
        """Close our end; nobody may be in a call."""
        self._socket.close()

    def _send_what_fits(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._unsent.clear()  # its end is seen by who receives
        if self._unsent:
            self._has_unsent.set()
        elif self._has_unsent.is_set():
            self._has_unsent = trio.Event()
