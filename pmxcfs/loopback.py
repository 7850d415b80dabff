"""A group of one, for standalone mode: what is sent comes back at once."""

from collections.abc import Callable, Sequence

from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered, GroupEvent
from pmxcfs.identity import Member


class LoopbackGroup:
    """Delivers every message to its sender, so that standalone mode is the same path.

    Args:
        me: the only member; node id 0 makes every change's writer 0.
        sink: takes the events.
    """

    def __init__(self, me: Member, sink: Callable[[Sequence[GroupEvent]], None]) -> None:
        self._me = me
        self._sink = sink

    def start(self) -> None:
        """Join."""
        members = (self._me,)
        self._sink((Connected(self._me), ConfigurationChange(members, joined=members)))

    def multicast(self, data: bytes) -> None:
        """Deliver to ourselves."""
        self._sink((Delivered(self._me, data),))

    def leave(self, *, for_good: bool) -> None:
        """Come back, unless the database failed, in which case nothing more is delivered."""
        if not for_good:
            self.start()
