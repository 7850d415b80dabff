"""Who waits for a majority, since which place in the history."""

from collections.abc import Iterator
from dataclasses import dataclass

from pmxcfs.dfsm.effects import Ticket
from pmxcfs.dfsm.history import History


@dataclass(slots=True)
class Waiter:
    """One fsync under way.

    Attributes:
        position: it waits for everything up to there; None until the history is open.
        is_here: whether this node's own disk has it.
    """

    ticket: Ticket
    replacements: int
    era: int = 0
    position: int | None = None
    is_here: bool = False


class Waiters:
    """All who wait, in the order in which they came."""

    def __init__(self) -> None:
        self._waiters: dict[Ticket, Waiter] = {}

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self._waiters.values()))

    @property
    def positions(self) -> list[int]:
        """What is waited for, as far as it is known."""
        return [waiter.position for waiter in self if waiter.position is not None]

    @property
    def synced_before(self) -> list[int]:
        """The places of those for whom this node's disk was synced, be it in an earlier era."""
        return [
            waiter.position for waiter in self if waiter.is_here and waiter.position is not None
        ]

    def add(self, ticket: Ticket, history: History) -> None:
        """Begin to wait for all that this node has now."""
        self._waiters[ticket] = Waiter(ticket, history.replacements)

    def get(self, ticket: Ticket) -> Waiter | None:
        """Return who holds this ticket, if still waiting."""
        return self._waiters.get(ticket)

    def remove(self, ticket: Ticket) -> None:
        """Let somebody go, who may have gone already."""
        self._waiters.pop(ticket, None)

    def find_places(self, history: History) -> list[Ticket]:
        """Give everybody a place in an open, settled history; return who will never have one.

        A new era has at its beginning all that this node had before, unless another tree took the
        place of this node's: nobody knows then whether what is waited for is in it.
        """
        lost = []
        for waiter in self:
            if waiter.replacements != history.replacements:
                lost.append(waiter.ticket)
                self.remove(waiter.ticket)
            elif waiter.era != history.era:
                waiter.era, waiter.position = history.era, history.position
        return lost
