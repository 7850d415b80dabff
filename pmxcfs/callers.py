"""How many local callers may wait for the group at a time, and what is said when they give up.

Requests of the mount that wait hold memory, and a place among all requests. Reads must go on
whatever the group does, so changes are refused before they have taken all places.
"""

from collections.abc import Sequence
from errno import EBUSY

import structlog
import trio

from pmxcfs.errors import OperationError
from pmxcfs.memdb.operations import Operation, Write

log = structlog.get_logger("dcdb")

CALLERS_MAX = 512
BYTES_MAX = 64 * 1024 * 1024
"""What waiting callers may want to write, all together."""

QUIET_S = 10.0
"""Of many callers who give up at about the same time, one line tells."""


class Callers:
    """Those who wait, how many they are (``count``), and what was said of them last."""

    def __init__(self) -> None:
        self.count = 0
        self._size_bytes = 0
        self._said_at_s: dict[str, float] = {}

    def place(self, operation: Operation) -> "Place":
        """Return a place among those who wait, to be had for as long as a block lasts."""
        return Place(self, len(operation.data) if isinstance(operation, Write) else 0)

    def enter(self, size_bytes: int) -> None:
        """Count one more who waits.

        Raises:
            OperationError: EBUSY, there is no place left.
        """
        if self.count >= CALLERS_MAX or self._size_bytes + size_bytes > BYTES_MAX:
            self._say("too many changes wait for the group, refusing more", count=self.count)
            raise OperationError(EBUSY)
        self.count += 1
        self._size_bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Count one less."""
        self.count -= 1
        self._size_bytes -= size_bytes

    def tell_gave_up(
        self, operation: Operation, waits_for: Sequence[str], waited_s: float, *, was_sent: bool
    ) -> None:
        """Say that a caller waits no more, and whom it waited for."""
        self._say(
            "gave up waiting: its outcome is unknown" if was_sent else "gave up waiting: not done",
            operation=type(operation).__name__,
            waits_for=list(waits_for),
            waited_s=waited_s,
            waiting=self.count,
        )

    def _say(self, sentence: str, **facts: object) -> None:
        now_s = trio.current_time()
        if now_s - self._said_at_s.get(sentence, -QUIET_S) >= QUIET_S:
            self._said_at_s[sentence] = now_s
            log.warning(sentence, **facts)


class Place:
    """A place among the callers; see ``Callers.place``. Not a generator: every change has one."""

    __slots__ = ("_callers", "_size_bytes")

    def __init__(self, callers: Callers, size_bytes: int) -> None:
        self._callers = callers
        self._size_bytes = size_bytes

    def __enter__(self) -> None:
        self._callers.enter(self._size_bytes)

    def __exit__(self, *failure: object) -> None:
        self._callers.leave(self._size_bytes)
