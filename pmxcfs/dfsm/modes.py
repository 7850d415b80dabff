"""The modes of the replication protocol and which of them may follow which.

Source: docs/PROTOCOL.md, "Modes".
"""

from enum import IntEnum


class Mode(IntEnum):
    """How far we are in agreeing with the group. From LEAVE on they are errors."""

    START = 0
    """Connecting: nobody has told us yet who is in the group."""

    START_SYNC = 1
    """The membership changed: we wait for SYNC_START and everybody's state."""

    SYNCED = 2
    """Normal work."""

    UPDATE = 3
    """We are out of date and wait for the leader's updates."""

    LEAVE = 253
    """Leave the group, then come back."""

    VERSION_ERROR = 254
    """Somebody speaks a newer protocol: leave for good."""

    ERROR = 255
    """Our own database failed: leave for good."""

    @property
    def is_error(self) -> bool:
        """Whether messages are no longer looked at."""
        return self >= Mode.LEAVE

    @property
    def is_final(self) -> bool:
        """Whether this process never joins the group again."""
        return self > Mode.LEAVE


def may_follow(current: Mode, new: Mode) -> bool:
    """Return whether ``new`` replaces ``current``: a lesser error never hides a greater one."""
    if new == current:
        return False
    return not new.is_error or not current.is_error or new > current
