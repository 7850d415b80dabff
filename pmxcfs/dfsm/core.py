"""What the parts of the machine share: mode, membership, our messages and the effects to come."""

from collections.abc import Iterable, Sequence

import structlog

from pmxcfs.dfsm.application import Application
from pmxcfs.dfsm.effects import Effect, LeaveGroup, Multicast, Send, Ticket
from pmxcfs.dfsm.history import History
from pmxcfs.dfsm.membership import Membership
from pmxcfs.dfsm.modes import Mode, may_follow
from pmxcfs.dfsm.outgoing import Outgoing
from pmxcfs.dfsm.waiters import Waiters
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.identity import Member


class Core:
    """Our place in the group. The parts read and change it, the machine takes its effects.

    ``members`` is empty as long as no configuration change has named any. ``leader`` is whose state
    the last comparison found to be the one to have; ``agreement`` names comparison and state.
    ``steps`` counts the events that moved us.
    """

    def __init__(self, application: Application, protocol_version: int, domain: str) -> None:
        self.application = application
        self.protocol_version = protocol_version
        self.log = structlog.get_logger(domain)
        self.mode = Mode.START
        self.me: Member | None = None
        self.is_member = False
        self.members = Membership(())
        self.leader: Member | None = None
        self.agreement = b""
        self.steps = 0
        self.history = History()
        self.outgoing = Outgoing(protocol_version)
        self.waiters = Waiters()
        self.effects: list[Effect] = []

    @property
    def is_lowest(self) -> bool:
        """Whether it is for us to start synchronisations and verifications."""
        return self.me is not None and self.me.node_id == self.members.lowest_node_id

    def abandon(self, mode: Mode, reason: str) -> None:
        """Enter an error mode, unless in a worse one: nobody waits any more, and we leave."""
        if not may_follow(self.mode, mode):
            return
        self.log.warning("leaving the group", mode=mode.name, reason=reason)
        self.mode = mode
        self.history.end()
        self.application.drop_sync()
        self.effects += self.waiters.lose_all()
        self.effects.append(LeaveGroup(for_good=mode.is_final))

    def become_synced(self, effects: Sequence[Effect], now_s: int) -> None:
        """Enter SYNCED; ``effects`` of what brought us there come first."""
        was_synced = self.mode is Mode.SYNCED
        self.mode = Mode.SYNCED
        self.perform(effects, now_s)
        if not was_synced:
            self.log.info("in sync with the group", members=len(self.members))
            self.perform(self.application.on_synced(now_s), now_s)

    def perform(self, effects: Iterable[Effect], now_s: int) -> None:
        """Add the application's effects, a Multicast for each Send."""
        for effect in effects:
            if not isinstance(effect, Send):
                self.effects.append(effect)
            elif self.mode is Mode.SYNCED:
                self.send(effect.subtype, effect.payload, now_s)
            else:
                self.log.warning("message not sent: not in sync", subtype=effect.subtype)

    def send(self, subtype: int, payload: bytes, now_s: int, ticket: Ticket | None = None) -> None:
        """Multicast an application message."""
        count, data = self.outgoing.number(subtype, payload, now_s)
        if ticket is not None:
            self.waiters.register(count, ticket)
        self.effects.append(Multicast(data))

    def multicast(self, kind: MessageType, payload: bytes, now_s: int) -> None:
        """Multicast a message of the protocol itself."""
        self.effects.append(Multicast(self.outgoing.state_message(kind, payload, now_s)))

    def reset(self) -> None:
        """Forget the group: nothing that we sent will come back."""
        self.effects += self.waiters.lose_all()
        self.members = Membership(())
        self.is_member = False
        self.history.end()
        self.outgoing.forget()
        self.application.drop_sync()
