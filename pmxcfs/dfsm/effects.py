"""What the protocol wants done, as values; whoever drives it performs them in order."""

from typing import NewType

from pmxcfs.values import value

Ticket = NewType("Ticket", int)
"""Names one local caller who waits for a result."""


@value(frozen=True, slots=True)
class Effect:
    """Something to be done in the world outside the pure code."""


@value(frozen=True, slots=True)
class Multicast(Effect):
    """Send these bytes to every member, ourselves included."""

    data: bytes


@value(frozen=True, slots=True)
class Answer(Effect):
    """Wake a local caller. ``result`` is zero or a count; a negative errno is a refusal."""

    ticket: Ticket
    result: int


@value(frozen=True, slots=True)
class LeaveGroup(Effect):
    """Leave the group; come back afterwards unless ``for_good``."""

    for_good: bool


@value(frozen=True, slots=True)
class Send(Effect):
    """An application's wish to send a message to the group without waiting for its result.

    It never leaves the machine: a numbered Multicast takes its place.
    """

    subtype: int
    payload: bytes
