"""Brings each new corosync.conf of the tree to the host, one at a time, the newest first of all.

While one is being written or corosync reloads, newer texts only take the place of the one that
waits: a disk that hangs keeps nobody waiting, and the last text is never left out.
"""

from collections.abc import Awaitable, Callable

import trio

Publish = Callable[[bytes, bool], Awaitable[object]]


class Publisher:
    """A place for one text, and a task that takes it from there.

    Args:
        publish: writes a text to the host's file and, if told so, makes corosync reload.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._text: bytes | None = None
        self._notify = False
        self._news = trio.Event()

    def put(self, text: bytes, *, notify: bool) -> None:
        """Have this text published next; a reload that was due for an older one stays due."""
        self._text = text
        self._notify |= notify
        self._news.set()

    async def run(self) -> None:
        """Publish whatever is put here. Runs until cancelled."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            text, notify = self._text, self._notify
            self._text, self._notify = None, False
            if text is not None:
                await self._publish(text, notify)
