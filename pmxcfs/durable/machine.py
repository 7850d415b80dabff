"""One member's side of the durability protocol, as a value: events in, effects out.

Whoever wants a change to be durable asks the group for a point in the history. Every member that
has come that far syncs its disk and tells up to which point it has everything. All hear all
answers, so one answer serves everybody who waits, and many who ask at a time ask once.

What members tell counts only within one era of the history: a synchronisation could have taken it
away again.

Source: docs/PROTOCOL.md, "Durability group".
"""

from collections.abc import Callable, Mapping
from errno import EIO

import structlog

from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.dfsm.history import History, Point
from pmxcfs.durable.promise import Promise, Promises
from pmxcfs.durable.roll_call import RollCall
from pmxcfs.durable.votes import Votes
from pmxcfs.durable.waiting import Waiters
from pmxcfs.durable.wire import Message, MessageType, NewerProtocolError, decode
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId
from pmxcfs.values import value

ASK_PERIOD_S = 0.9
"""How often it is asked again, at the clockwork's next beat: an answer may have been lost with its
sender's place in the group, or tell of a place that we no longer remember."""

log = structlog.get_logger("dcdb")


@value(frozen=True, slots=True)
class SyncDisk(Effect):
    """Sync this node's disk: take a mark, sync, then give the mark to ``note_synced``."""


@value(frozen=True, slots=True)
class Mark:
    """Up to where the database had everything when a sync of the disk began."""

    era: int
    position: int


class Durability:
    """What this node knows of everybody's disks, and who waits for it here.

    Args:
        history: of the tree's group; the same object for good.
        is_settled: tells whether the database has all that the history has, and the group agrees.

    Attributes:
        roll: who was able to answer when we asked last.
    """

    def __init__(self, history: History, is_settled: Callable[[], bool]) -> None:
        self.roll = RollCall()
        self._history = history
        self._is_settled = is_settled
        self._promises = Promises()
        self._waiters = Waiters()
        self._me: Member | None = None
        self._members: frozenset[Member] = frozenset()
        self._names: Mapping[NodeId, str] = {}
        self._era = 0
        self._position_of: dict[NodeId, int] = {}
        self._reports: dict[NodeId, Point] = {}
        self._asks: dict[Member, Point] = {}
        self._own = -1
        self._asked = -1
        self._asked_ago_s = 0.0
        self._is_ask_due = False
        self._told_of: set[Member] = set()

    @property
    def promise(self) -> Promise:
        """What a successful fsync means now."""
        return self._promises.now

    @property
    def is_idle(self) -> bool:
        """Whether nobody, here or elsewhere, waits for what this node will do."""
        return not self._waiters and not self._asks

    def lacking(self, ticket: Ticket) -> list[str]:
        """Return the nodes that a caller waits for, as people know them."""
        waiter = self._waiters.get(ticket)
        position = None if waiter is None else waiter.position
        if not self._promises.is_quorate:
            return ["quorum"]
        if position is None:
            return ["the group to be in sync"]
        return [
            f"{self._names.get(node_id, 'a node without name')} (id {node_id}"
            f"{'' if node_id in self._promises.present else ', not in the group'})"
            for node_id in sorted(self._promises.votes.of)
            if self._position_of.get(node_id, -1) < position
        ]

    def ask(self, ticket: Ticket) -> list[Effect]:
        """Begin an fsync: the ticket is answered once a majority has all that this node has now."""
        self._waiters.add(ticket, self._history)
        return self.advance()

    def call_roll(self) -> list[Effect]:
        """Ask all members whether they are able to answer; ``roll`` tells who was."""
        call = self.roll.call(self._me, self._members)
        return [] if call is None else [Multicast(call)]

    def withdraw(self, ticket: Ticket) -> None:
        """Forget a caller, who waits no more."""
        self._waiters.remove(ticket)

    def mark(self) -> Mark | None:
        """Return up to where a sync that begins now reaches; None if that cannot be told."""
        if not self._is_here():
            return None
        return Mark(self._history.era, self._history.position)

    def note_synced(self, mark: Mark | None, ticket: Ticket | None = None) -> list[Effect]:
        """Take note that a sync of our disk has ended well.

        Args:
            mark: taken when it began.
            ticket: of the caller who asked for it, if one did.
        """
        waiter = None if ticket is None else self._waiters.get(ticket)
        if waiter is not None:
            waiter.is_here = True
        self._turn_page()
        if mark is not None and mark.era == self._era:
            self._own = max(self._own, mark.position)
        return self.advance()

    def learn_nodes(self, votes: Votes, names: Mapping[NodeId, str]) -> list[Effect]:
        """Take over which nodes there are, with their votes."""
        self._promises.votes, self._names = votes, names
        return self.advance()

    def learn_quorum(self, is_quorate: bool) -> None:
        """Hear from corosync's quorum service."""
        self._promises.learn_quorum(is_quorate)

    def pass_time(self, passed_s: float) -> list[Effect]:
        """Let time go by; as in ``waits.vigil.TimePassed``."""
        self._promises.pass_time(passed_s)
        self._asked_ago_s += passed_s
        self._is_ask_due |= self._asked_ago_s >= ASK_PERIOD_S
        return self.advance()

    def step(self, event: GroupEvent) -> list[Effect]:
        """Take in an event of the durability group."""
        match event:
            case Connected(me):
                self._me = me
            case Disconnected():
                self._me = None
                self._take_members(())
            case ConfigurationChange(members, _, joined):
                self._take_members(members)
                self._is_ask_due |= bool(joined)  # who is new has not heard the question
            case Delivered(sender, data):
                self._receive(sender, data)
            case SendFailed():
                pass  # it is asked again, and answered again
        answers: list[Effect] = [Multicast(answer) for answer in self.roll.answers_owed()]
        return answers + self.advance()

    def advance(self) -> list[Effect]:
        """Do what has become possible: also to be called when the tree's history has moved on."""
        if not self._is_here():
            return self._answer_local()
        self._turn_page()
        lost = self._waiters.find_places(self._history)
        if lost:
            log.warning(
                "another tree took the place of ours during an fsync: what was to be durable "
                "may not be in it",
                callers=len(lost),
            )
        self._believe_reports()
        effects: list[Effect] = [Answer(ticket, -EIO) for ticket in lost]
        effects += self._answer_agreed()
        effects += self._answer_local()
        effects += self._tell()
        effects += self._ask_others()
        return effects

    def _is_here(self) -> bool:
        return self._history.is_open and self._is_settled()

    def _turn_page(self) -> None:
        """Forget what members had in an earlier era; what they said last may be of the new one."""
        if self._era != self._history.era:
            self._era = self._history.era
            self._position_of.clear()
            self._own = self._asked = -1

    def _take_members(self, members: tuple[Member, ...]) -> None:
        self._members = frozenset(members) if self._me in members else frozenset()
        self._promises.present = frozenset(member.node_id for member in self._members)
        self._asks = {member: point for member, point in self._asks.items() if member in members}
        self._told_of &= self._members
        self.roll.keep(self._members)

    def _receive(self, sender: Member, data: bytes) -> None:
        try:
            message = decode(data)
        except ProtocolError as error:
            self._complain(sender, error)
            return
        if message.type in (MessageType.CALL, MessageType.HERE):
            self.roll.hear(sender, self._me, message)
        elif sender == self._me:
            return
        elif message.type is MessageType.ASK:
            self._asks[sender] = message.point
        else:
            self._reports[sender.node_id] = message.point

    def _complain(self, sender: Member, error: ProtocolError) -> None:
        """Say it once for each member: whoever sends such a message sends many."""
        if sender not in self._told_of:
            self._told_of.add(sender)
            is_newer = isinstance(error, NewerProtocolError)
            log.warning(
                "ignoring what a newer member asks about durability"
                if is_newer
                else "ignoring a message of the durability group",
                sender=f"node {sender.node_id}, pid {sender.pid}",
                error=str(error),
            )

    def _believe_reports(self) -> None:
        """Count what members tell if it is about our history, and not about some other."""
        for node_id, point in self._reports.items():
            if self._history.holds(point):
                known = self._position_of.get(node_id, -1)
                self._position_of[node_id] = max(known, point.position)
        if self._me is not None and self._own >= 0:
            self._position_of[self._me.node_id] = self._own

    def _answer_agreed(self) -> list[Effect]:
        agreed = self._promises.votes.majority_position(self._position_of)
        done = [
            waiter.ticket
            for waiter in self._waiters
            if waiter.position is not None and waiter.position <= agreed
        ]
        return self._answer(done)

    def _answer_local(self) -> list[Effect]:
        """Answer those for whom this node's disk has to be enough."""
        if self.promise is not Promise.THIS_NODE:
            return []
        return self._answer([waiter.ticket for waiter in self._waiters if waiter.is_here])

    def _answer(self, tickets: list[Ticket]) -> list[Effect]:
        for ticket in tickets:
            self._waiters.remove(ticket)
        return [Answer(ticket, 0) for ticket in tickets]

    def _tell(self) -> list[Effect]:
        """Answer those who asked, or first sync our disk for them, or for a caller in a new era."""
        due = {member: point for member, point in self._asks.items() if self._history.holds(point)}
        wanted = [point.position for point in due.values()] + self._waiters.synced_before
        effects: list[Effect] = []
        if any(position > self._own for position in wanted):
            effects.append(SyncDisk())
        own = self._history.point_at(self._own)
        answered = [member for member, point in due.items() if point.position <= self._own]
        if own is not None and answered:
            effects.append(Multicast(Message(MessageType.DURABLE, own).encode()))
            for member in answered:
                del self._asks[member]
        return effects

    def _ask_others(self) -> list[Effect]:
        """Ask for the newest that anybody waits for; while a question is open, only that again.

        A member that is behind would never come to an end if it were asked for ever more.
        """
        positions = self._waiters.positions
        if not positions or self._me not in self._members:
            return []
        is_open = min(positions) <= self._asked
        if is_open and not self._is_ask_due:
            return []
        again = self._history.point_at(self._asked) if is_open else None
        point = again or self._history.point
        self._asked, self._asked_ago_s, self._is_ask_due = point.position, 0.0, False
        return [Multicast(Message(MessageType.ASK, point).encode())]
