"""Local callers who wait until their message has come back; each is answered exactly once."""

from collections.abc import Callable
from errno import EBUSY

from pmxcfs.dfsm.effects import Answer, Ticket


class Waiters:
    """Tickets by the count of the message they wait for.

    Our messages come back in the order of their counts, so one that comes back tells that all
    earlier ones, if still awaited, are lost. A lost message gives -EBUSY; others may nevertheless
    have applied it.
    """

    def __init__(self) -> None:
        self._tickets: dict[int, Ticket] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def register(self, count: int, ticket: Ticket) -> None:
        """Let ``ticket`` wait for our message number ``count``."""
        self._tickets[count] = ticket

    def settle(self, count: int, result: int) -> list[Answer]:
        """Answer whoever waits for message ``count``, and all who waited for an earlier one."""
        answers = self._lose(lambda other: other < count)
        if count in self._tickets:
            answers.append(Answer(self._tickets.pop(count), result))
        return answers

    def lose(self, count: int) -> list[Answer]:
        """Answer whoever waits for message ``count``: it is lost."""
        return self._lose(lambda other: other == count)

    def lose_all(self) -> list[Answer]:
        """Answer everybody: their messages are lost."""
        return self._lose(lambda _: True)

    def _lose(self, is_lost: Callable[[int], bool]) -> list[Answer]:
        lost = [count for count in self._tickets if is_lost(count)]
        return [Answer(self._tickets.pop(count), -EBUSY) for count in lost]
