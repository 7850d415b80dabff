"""What a member waits for before normal work can go on, and of whom."""

from enum import Enum

from pmxcfs.dfsm.core import Core
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import Member
from pmxcfs.values import value


class WaitKind(Enum):
    """What is missing; the value is a sentence for the log."""

    MEMBERSHIP = "not a member of the group yet: corosync does not let us join"
    DEPARTURE = "still in the group that we are leaving: corosync does not let us go"
    RETURN = "left the group and not back yet: we come back when we are fit to be a member"
    START = "nobody has started the synchronisation"
    STATES = "members have not told their state"
    UPDATES = "the leader has not finished its updates"
    OWN_MESSAGE = "our own message has not come back: leaving the group to join it again"


@value(frozen=True, slots=True)
class Wait:
    """One wait. As long as it is equal to the last one, nothing has moved.

    ``members`` are those who keep us waiting; nobody, if it is corosync. ``steps`` counts what has
    been handled of the protocol, or names the message.
    """

    kind: WaitKind
    members: tuple[Member, ...] = ()
    steps: int = 0


def wait_of(core: Core) -> Wait | None:
    """Return what this member waits for; None if for nothing, or if nothing will ever come."""
    match core.mode:
        case Mode.START:
            return Wait(WaitKind.MEMBERSHIP, steps=core.steps)
        case Mode.LEAVE:
            kind = WaitKind.RETURN if core.me is None else WaitKind.DEPARTURE
            return Wait(kind, steps=core.steps)
        case Mode.START_SYNC:
            return _wait_for_states(core)
        case Mode.UPDATE:
            return Wait(WaitKind.UPDATES, _known(core.leader), core.steps)
        case Mode.SYNCED:
            oldest = core.waiters.oldest
            return None if oldest is None else Wait(WaitKind.OWN_MESSAGE, steps=oldest)
        case _:
            return None


def _wait_for_states(core: Core) -> Wait:
    if core.members.has_begun:
        return Wait(WaitKind.STATES, tuple(sorted(core.members.awaiting)), core.steps)
    lowest = core.members.lowest_node_id
    starters = [member for member in core.members.all if member.node_id == lowest]
    return Wait(WaitKind.START, tuple(sorted(starters)), core.steps)


def _known(member: Member | None) -> tuple[Member, ...]:
    return () if member is None else (member,)
