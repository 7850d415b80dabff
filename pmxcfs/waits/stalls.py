"""Notices that the group does not get on, and says who waits for whom."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pmxcfs.dfsm.waiting import Wait, WaitKind
from pmxcfs.identity import Member, NodeId
from pmxcfs.values import value

STALL_S_MAX = 10.0
"""A step of a synchronisation takes milliseconds; seconds with a large tree on a busy node. While
a caller waits to create or remove an entry, the kernel lets nobody list that directory."""

OWN_MESSAGE_S_MAX = 30.0
"""How long a message of ours may be under way: longer than a ring needs to form anew."""

REPEAT_S_MIN, REPEAT_S_MAX = 60.0, 3600.0
"""As long as nothing changes it is said again, each time after twice as long, within a bound."""


@value(frozen=True, slots=True)
class Waiting:
    """A wait as it is told to people: what for, for whom (see ``culprits``), how long already."""

    kind: WaitKind
    waits_for: tuple[str, ...]
    waited_s: float


@dataclass(slots=True)
class Stalls:
    """Measures how long one and the same thing has been waited for.

    Attributes:
        domain: whose log lines these are.
        consequence: what the wait means for people.
        is_stuck: whether something was waited for too long, since we were in sync last.
    """

    domain: str
    consequence: str
    is_stuck: bool = False
    _wait: Wait | None = None
    _is_late: bool = False
    _waited_s: float = 0.0
    _stuck_s: float = 0.0
    _say_at_s: float = 0.0

    def look(
        self, wait: Wait | None, passed_s: float, name_of: Callable[[NodeId], str | None]
    ) -> bool:
        """Let time go by; return whether the wait has become too long just now.

        Args:
            wait: what we wait for now; None if for nothing.
            passed_s: since the last call.
            name_of: tells a node's name.
        """
        if wait != self._wait:
            self._wait, self._is_late = wait, False
            self._waited_s = self._say_at_s = 0.0
        self._waited_s += passed_s
        self._stuck_s += passed_s
        if self.is_stuck and not self._is_late and _is_in_sync(wait):
            structlog.get_logger(self.domain).info(
                "the group goes on", waited_s=round(self._stuck_s)
            )
            self.is_stuck = False
        if wait is None or self._waited_s < _bound_s(wait):
            return False
        if not self.is_stuck:
            self.is_stuck, self._stuck_s = True, self._waited_s
        if self._waited_s >= self._say_at_s:
            self._say(wait, name_of)
        was_late, self._is_late = self._is_late, True
        return not was_late

    def waited_s(self, wait: Wait) -> float:
        """Return for how long a wait, the present one, has been seen."""
        return self._waited_s if wait == self._wait else 0.0

    def _say(self, wait: Wait, name_of: Callable[[NodeId], str | None]) -> None:
        self._say_at_s = self._waited_s + min(max(self._waited_s, REPEAT_S_MIN), REPEAT_S_MAX)
        structlog.get_logger(self.domain).warning(
            wait.kind.value,
            meanwhile=self.consequence,
            waits_for=culprits(wait, name_of),
            waited_s=round(self._waited_s),
        )


def _is_in_sync(wait: Wait | None) -> bool:
    return wait is None or wait.kind is WaitKind.OWN_MESSAGE


def culprits(wait: Wait, name_of: Callable[[NodeId], str | None]) -> list[str]:
    """Return whom a wait is for, as people know them; corosync if no member."""
    if wait.kind is WaitKind.RETURN:
        return ["ourselves"]
    return [_called(member, name_of) for member in wait.members] or ["corosync"]


def _bound_s(wait: Wait) -> float:
    return OWN_MESSAGE_S_MAX if wait.kind is WaitKind.OWN_MESSAGE else STALL_S_MAX


def _called(member: Member, name_of: Callable[[NodeId], str | None]) -> str:
    name = name_of(member.node_id)
    return f"{name or 'a node without name'} (id {member.node_id}, pid {member.pid})"
