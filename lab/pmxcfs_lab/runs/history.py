"""Calls, put together from the moments that clients recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pmxcfs_lab.runs.folder import CallEvent

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client.

    Attributes:
        id: its number in the run.
        began_s: when it was made.
        ended_s: when it was answered, however late; None if it never was.
        outcome: "unknown" if it may have happened or not, or is not answered.
        overdue_s: when its bound had passed without an answer; None if it had not.
    """

    id: int
    client: str
    node: str
    name: str
    path: str
    began_s: float
    ended_s: float | None = None
    outcome: Outcome = "unknown"
    errno: str | None = None
    value: str | None = None
    overdue_s: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it was answered, and well."""
        return self.outcome == "ok"

    @property
    def until_s(self) -> float:
        """When it was over; for a call without an answer, never."""
        return float("inf") if self.ended_s is None else self.ended_s


def calls_of(events: Iterable[CallEvent]) -> list[Call]:
    """Return all calls in the order in which they were made."""
    calls: dict[int, Call] = {}
    for event in events:
        value = None if event.value is None else str(event.value)
        call = calls.get(event.id)
        if event.phase == "invoke" or call is None:
            calls[event.id] = Call(
                *(event.id, event.client, event.node, event.call, event.path, event.t), value=value
            )
        elif event.phase == "unknown" and event.errno is None:
            calls[event.id] = replace(call, overdue_s=event.t)
        else:
            calls[event.id] = replace(
                call,
                ended_s=event.t,
                outcome=event.phase,
                errno=None if event.errno is None else str(event.errno),
                value=value if value is not None else call.value,
            )
    return sorted(calls.values(), key=lambda call: (call.began_s, call.id))
