"""Messages held back during a synchronisation, in the order that all members agree on.

Source: docs/PROTOCOL.md, "Synchronisation".
"""

from bisect import insort_right
from collections.abc import Iterable, Iterator
from functools import cmp_to_key

from pmxcfs.identity import Member
from pmxcfs.values import value


@value(frozen=True, slots=True)
class HeldMessage:
    """A NORMAL message that waits; ``data`` is the whole of it, for sending it again."""

    sender: Member
    count: int
    data: bytes


class CountQueue:
    """Messages by ascending count alone, whoever sent them; equal counts in order of arrival.

    Counts are compared by the sign of their difference in 32 bits. All members must come to the
    same order, so the sender must not matter, strange as that is.
    """

    def __init__(self) -> None:
        self._messages: list[HeldMessage] = []

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[HeldMessage]:
        return iter(self._messages)

    def insert(self, message: HeldMessage) -> None:
        """Put a message in its place."""
        insort_right(self._messages, message, key=_BY_COUNT)

    def take_all(self) -> list[HeldMessage]:
        """Return all messages in order and hold none of them any more."""
        messages, self._messages = self._messages, []
        return messages

    def put_back(self, messages: Iterable[HeldMessage]) -> None:
        """Hold again what was taken and not used; ``messages`` are in order still."""
        self._messages = list(messages)


def _compare(a: HeldMessage, b: HeldMessage) -> int:
    difference = (a.count - b.count) & 0xFFFFFFFF
    return difference - 2**32 if difference & 0x80000000 else difference


_BY_COUNT = cmp_to_key(_compare)
