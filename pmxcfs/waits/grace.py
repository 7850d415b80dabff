"""A short wait for quorum before a change of the group is refused.

Quorum and the group's messages come from two services of corosync, in either order. A change that
comes first would be refused, which costs the whole cluster a synchronisation, although it is quorum
that is late. So the group's events are put off, in their order, until quorum comes or a bound has
passed. That is as if corosync had delivered them later; nothing is applied without quorum.
"""

from collections import deque
from collections.abc import Callable, Iterator

from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)

QUORUM_WAIT_S_MAX = 2.0
"""Quorum is known some milliseconds after the group's first message at the latest; if not, never.
The other members wait for our state meanwhile, so it is short."""


class Grace:
    """Puts off the events of one group.

    Nobody waits where no time passes: without ``pass_time`` every event is due at once.
    """

    def __init__(self) -> None:
        self._events: deque[GroupEvent] = deque()
        self._waited_s = 0.0
        self._has_clock = False
        self._is_over = False

    def __len__(self) -> int:
        """Count the events that are put off."""
        return len(self._events)

    def take(self, event: GroupEvent, needs_quorum: Callable[[GroupEvent], bool]) -> bool:
        """Put an event off, or return true: it is due now.

        Args:
            event: the next one of the group.
            needs_quorum: whether an event would have a change refused as things are.
        """
        if isinstance(event, Connected | Disconnected):
            self._events.clear()  # as if they had not been delivered any more
            self._waited_s, self._is_over = 0.0, False
            return True
        if self._is_over or not self._has_clock:
            return True
        if not self._events and not needs_quorum(event):
            return True
        self._events.append(event)
        return False

    def pass_time(self, passed_s: float) -> None:
        """Let time go by; with the bound the wait is over, until we join the group again."""
        self._has_clock = True
        if self._events:
            self._waited_s += passed_s
            self._is_over = self._waited_s >= QUORUM_WAIT_S_MAX

    def due(self, *, is_quorate: bool) -> Iterator[ConfigurationChange | Delivered | SendFailed]:
        """Yield what was put off, once quorum has come or the wait is over."""
        if is_quorate:
            self._waited_s, self._is_over = 0.0, False
        while self._events and (is_quorate or self._is_over):
            event = self._events.popleft()
            assert not isinstance(event, Connected | Disconnected), "they are never put off"
            yield event
