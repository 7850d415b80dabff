"""Messages on their way into the group: those that wait, and those that have not come back yet."""

from collections import deque

MESSAGES_UNDER_WAY_MAX = 128
"""How many of our own messages may be undelivered at a time."""

BYTES_UNDER_WAY_MAX = 4 << 20
"""How many bytes of our own may be undelivered at a time; one message of any size may always go."""


class Outbox:
    """A queue of own messages in the order of sending, which is the order they come back in.

    Without a limit on what is under way, a hanging corosync would hold everything that we have to
    say, and nobody could take it back.
    """

    def __init__(
        self,
        messages_max: int = MESSAGES_UNDER_WAY_MAX,
        bytes_max: int = BYTES_UNDER_WAY_MAX,
    ) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._waiting: deque[bytes] = deque()
        self._sizes_under_way: deque[int] = deque()
        self._bytes_under_way = 0

    def __len__(self) -> int:
        """Count the messages that wait."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """How many messages have not come back."""
        return len(self._sizes_under_way)

    def put(self, data: bytes) -> None:
        """Let a message wait behind all others."""
        self._waiting.append(data)

    @property
    def has_room(self) -> bool:
        """Whether the limits let the first waiting message go."""
        if not self._waiting or not self._sizes_under_way:
            return True
        size_bytes = self._bytes_under_way + len(self._waiting[0])
        return len(self._sizes_under_way) < self._messages_max and size_bytes <= self._bytes_max

    def start(self) -> bytes:
        """Count the first waiting message as under way and return it."""
        data = self._waiting.popleft()
        self._sizes_under_way.append(len(data))
        self._bytes_under_way += len(data)
        return data

    def undo_start(self, data: bytes) -> None:
        """The message that was started last did not get away: it waits again, before all others."""
        self._bytes_under_way -= self._sizes_under_way.pop()
        self._waiting.appendleft(data)

    def drop_next(self) -> bytes:
        """Take out the first waiting message, which cannot be sent."""
        return self._waiting.popleft()

    def note_delivered(self) -> None:
        """An own message came back."""
        if self._sizes_under_way:
            self._bytes_under_way -= self._sizes_under_way.popleft()

    def take_back(self) -> list[bytes]:
        """Empty the queue and return what waited."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def forget_under_way(self) -> None:
        """Nothing that was under way will come back: we are no longer a member."""
        self._sizes_under_way.clear()
        self._bytes_under_way = 0
