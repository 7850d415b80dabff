"""Has the shared page tell the porter of every step of the daemon; see ``ipc.freshness``.

It is not there because the porter has no event loop, and is half as large without one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from pmxcfs.ipc.freshness import Page


class Steps(trio.abc.Instrument):
    """Has the page move on before each step of any task but a few.

    Args:
        page: the shared page.
    """

    def __init__(self, page: Page) -> None:
        self._spared: set[trio.lowlevel.Task] = set()
        self._move_on = page.move_on

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Not count the steps of this task, which changes nothing but what it says itself."""
        task = trio.lowlevel.current_task()
        self._spared.add(task)
        try:
            yield
        finally:
            self._spared.discard(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Be told by trio."""
        if task not in self._spared:
            self._move_on()


@contextmanager
def watched_by(steps: Steps) -> Iterator[None]:
    """Have trio tell of each step of a task."""
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)
