"""What a message means in which mode, as one table.

Source: docs/PROTOCOL.md, "Modes".
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType


class Step(Enum):
    """What is done with one message."""

    APPLY = auto()
    HOLD = auto()
    HOLD_OR_FOLLOW = auto()
    """Of a synced sender it follows the updates, else it is held."""
    ANSWER_SYNC_START = auto()
    GATHER_STATE = auto()
    COLLECT_UPDATE = auto()
    COMMIT = auto()
    RELEASE = auto()
    """All members agree now: deliver what was held of the others."""
    TAKE_CHECKSUM = auto()
    COMPARE_CHECKSUM = auto()
    IGNORE = auto()
    LEAVE = auto()


_TABLE: Mapping[tuple[Mode, int], Step] = MappingProxyType(
    {
        (Mode.START, MessageType.NORMAL): Step.HOLD,
        (Mode.START_SYNC, MessageType.NORMAL): Step.HOLD,
        (Mode.START_SYNC, MessageType.SYNC_START): Step.ANSWER_SYNC_START,
        (Mode.START_SYNC, MessageType.STATE): Step.GATHER_STATE,
        (Mode.START_SYNC, MessageType.VERIFY_REQUEST): Step.IGNORE,
        (Mode.START_SYNC, MessageType.VERIFY): Step.IGNORE,
        (Mode.UPDATE, MessageType.NORMAL): Step.HOLD_OR_FOLLOW,
        (Mode.UPDATE, MessageType.UPDATE): Step.COLLECT_UPDATE,
        (Mode.UPDATE, MessageType.UPDATE_COMPLETE): Step.COMMIT,
        (Mode.UPDATE, MessageType.VERIFY_REQUEST): Step.IGNORE,
        (Mode.UPDATE, MessageType.VERIFY): Step.IGNORE,
        (Mode.SYNCED, MessageType.NORMAL): Step.APPLY,
        (Mode.SYNCED, MessageType.UPDATE_COMPLETE): Step.RELEASE,
        (Mode.SYNCED, MessageType.VERIFY_REQUEST): Step.TAKE_CHECKSUM,
        (Mode.SYNCED, MessageType.VERIFY): Step.COMPARE_CHECKSUM,
    }
)

_OTHERWISE: Mapping[Mode, Step] = MappingProxyType(
    {
        Mode.START: Step.LEAVE,
        Mode.START_SYNC: Step.LEAVE,
        Mode.UPDATE: Step.LEAVE,
        Mode.SYNCED: Step.IGNORE,
    }
)


def step_for(mode: Mode, message_type: int) -> Step:
    """Return what to do with a message; unknown types are met too. ``mode`` is no error mode."""
    return _TABLE.get((mode, message_type), _OTHERWISE[mode])
