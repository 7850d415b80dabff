"""Local callers who wait until their message has come back; each is answered exactly once."""

from collections import deque
from collections.abc import Callable
from errno import EBUSY

from pmxcfs.dfsm.effects import Answer, Ticket


class Waiters:
    """Tickets and the counts of the messages they wait for, in ascending order.

    Our messages come back in the order of their counts, so one that comes back tells that all
    earlier ones, if still awaited, are lost, save for those that were sent again since. A lost
    message gives -EBUSY; others may nevertheless have applied it.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Ticket]] = deque()

    @property
    def oldest(self) -> int | None:
        """The count of the first message that somebody waits for; None if nobody waits."""
        return self._queue[0][0] if self._queue else None

    def register(self, count: int, ticket: Ticket) -> None:
        """Let ``ticket`` wait for our message number ``count``, higher than all before."""
        self._queue.append((count, ticket))

    def settle(
        self, count: int, result: int, is_repeat: Callable[[int], bool] = lambda _: False
    ) -> list[Answer]:
        """Answer whoever waits for message ``count``, and all who waited for an earlier one.

        Args:
            count: the message that came back.
            result: what became of it.
            is_repeat: whether a message was sent again and is still to come.
        """
        answers, coming = [], []
        while self._queue and self._queue[0][0] <= count:
            awaited, ticket = self._queue.popleft()
            if awaited < count and is_repeat(awaited):
                coming.append((awaited, ticket))
            else:
                answers.append(Answer(ticket, result if awaited == count else -EBUSY))
        self._queue.extendleft(reversed(coming))
        return answers

    def lose(self, count: int) -> list[Answer]:
        """Answer whoever waits for message ``count``: it is lost."""
        lost = [item for item in self._queue if item[0] == count]
        self._queue = deque(item for item in self._queue if item[0] != count)
        return [Answer(ticket, -EBUSY) for _, ticket in lost]

    def lose_all(self) -> list[Answer]:
        """Answer everybody: their messages are lost."""
        lost, self._queue = self._queue, deque()
        return [Answer(ticket, -EBUSY) for _, ticket in lost]
