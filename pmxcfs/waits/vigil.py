"""Watches over one group: puts off what comes too early, notices what does not come at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from errno import EIO

from pmxcfs.dfsm.effects import Answer, Effect
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.waiting import WaitKind
from pmxcfs.identity import NodeId
from pmxcfs.values import value
from pmxcfs.waits.ghosts import Ghosts
from pmxcfs.waits.grace import Grace
from pmxcfs.waits.stalls import Stalls, Waiting, culprits

_GROUP_EVENTS = (Connected, Disconnected, ConfigurationChange, Delivered, SendFailed)


@value(frozen=True, slots=True)
class TimePassed:
    """This process was able to work for ``passed_s`` more seconds.

    Time in which it was stopped does not count: others may have answered all the while.
    """

    passed_s: float


@value(frozen=True, slots=True)
class RingSeen:
    """Corosync's quorum service says which nodes are in the ring; none while it is away."""

    node_ids: frozenset[NodeId]


@value(frozen=True, slots=True)
class NodesNamed:
    """Corosync's configuration names these nodes, and so many there are in the cluster."""

    names: Mapping[NodeId, str]


WatchEvent = TimePassed | RingSeen | NodesNamed


class Vigil:
    """What happens between the group's events and one member's machine.

    Without ``TimePassed`` nothing is ever put off and nothing is too late.

    Args:
        machine: the member's place in the group.
        domain: whose log lines these are.
        consequence: what a group that does not get on means for people.
    """

    def __init__(self, machine: Machine, *, domain: str, consequence: str) -> None:
        self._machine = machine
        self._grace = Grace()
        self._ghosts = Ghosts(domain)
        self._stalls = Stalls(domain, consequence)
        self._names: Mapping[NodeId, str] = {}
        self._effects: list[Effect] = []

    @property
    def is_stuck(self) -> bool:
        """Whether we are out of sync and the group has not got on for too long: no use in waiting.

        It stays so until we are in sync again, whatever moves in between.
        """
        return self._stalls.is_stuck and self._machine.mode is not Mode.SYNCED

    @property
    def put_off(self) -> int:
        """How many events of the group wait for quorum."""
        return len(self._grace)

    @property
    def culprits(self) -> list[str]:
        """Whom this member waits for, as people know them; nobody if for nothing."""
        wait = self._machine.waits_for
        return [] if wait is None else culprits(wait, self._names.get)

    @property
    def waiting(self) -> Waiting | None:
        """What this member waits for at the moment, in words."""
        wait = self._machine.waits_for
        if wait is None:
            return None
        return Waiting(wait.kind, tuple(self.culprits), self._stalls.waited_s(wait))

    @property
    def ring(self) -> frozenset[NodeId]:
        """The nodes in the ring, as they were told last."""
        return self._ghosts.ring

    def admit(
        self, event: GroupEvent | WatchEvent, is_quorate: Callable[[], bool]
    ) -> Iterable[GroupEvent]:
        """Return the group's events that are to be handled now, each before the next is decided.

        Args:
            event: the next one.
            is_quorate: tells whether we are quorate at the moment.
        """
        if isinstance(event, Delivered) and not self._grace and is_quorate():
            return (self._as_it_is(event),)  # as nearly always: nothing has to be put off
        return self._admit(event, is_quorate)

    def overdue(self, is_quorate: Callable[[], bool]) -> Iterator[GroupEvent]:
        """Yield what was put off and is to be handled now."""
        for late in self._grace.due(is_quorate=is_quorate()):
            yield self._as_it_is(late)

    def taken(self) -> list[Effect]:
        """Return what is to be done because of what was noticed."""
        effects, self._effects = self._effects, []
        return effects

    def _admit(
        self, event: GroupEvent | WatchEvent, is_quorate: Callable[[], bool]
    ) -> Iterator[GroupEvent]:
        def needs_quorum(candidate: GroupEvent) -> bool:
            return not is_quorate() and self._machine.may_apply(candidate)

        if isinstance(event, _GROUP_EVENTS):
            if self._grace.take(event, needs_quorum):
                yield self._as_it_is(event)
        else:
            self._learn(event)
        yield from self.overdue(is_quorate)

    def _learn(self, event: WatchEvent) -> None:
        match event:
            case TimePassed(passed_s):
                self._grace.pass_time(passed_s)
                self._look(passed_s)
            case RingSeen(node_ids):
                self._ghosts.learn_ring(node_ids)
            case NodesNamed(names):
                self._names = names

    def _look(self, passed_s: float) -> None:
        machine = self._machine
        self._ghosts.pass_time(passed_s, machine.me)
        wait = machine.waits_for
        is_late = self._stalls.look(wait, passed_s, self._names.get)
        if is_late and wait is not None and wait.kind is WaitKind.OWN_MESSAGE:
            effects = machine.leave("a message of ours does not come back")
            self._effects += [_with_outcome_unknown(effect) for effect in effects]
        is_waiting = machine.mode is Mode.START_SYNC  # afterwards all have told their state
        if is_waiting and any(member in self._ghosts for member in machine.members):
            self._effects += machine.leave("a member of the group does not exist")

    def _as_it_is(self, event: GroupEvent) -> GroupEvent:
        """Return an event without the ghosts in it."""
        match event:
            case ConfigurationChange(members, left, joined):
                return ConfigurationChange(self._ghosts.living(members), left, joined)
            case Delivered(sender):
                if sender in self._ghosts:
                    self._effects += self._machine.leave(f"{sender}, taken for a ghost, speaks")
                self._ghosts.hear(sender)
        return event


def _with_outcome_unknown(effect: Effect) -> Effect:
    """Return the answer for whoever waits for a message that may have been sent; else the same."""
    return Answer(effect.ticket, -EIO) if isinstance(effect, Answer) else effect
