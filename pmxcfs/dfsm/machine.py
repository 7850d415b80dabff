"""The replication protocol of one group, as a value: events in, effects out.

It orders messages, decides with the application who is up to date, and brings the others up to
date. It knows nothing of what it replicates (see Application), of corosync or of time.

Source: docs/PROTOCOL.md, "Modes" and "Synchronisation".
"""

from collections.abc import Callable
from errno import EBUSY

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.application import Application
from pmxcfs.dfsm.core import Core
from pmxcfs.dfsm.delivery import Deliveries
from pmxcfs.dfsm.effects import Effect, LeaveGroup, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Delivered, GroupEvent
from pmxcfs.dfsm.history import History
from pmxcfs.dfsm.membership import Membership
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.queue import HeldMessage
from pmxcfs.dfsm.synchronisation import Synchronisation
from pmxcfs.dfsm.transitions import Step, step_for
from pmxcfs.dfsm.verify import Verification
from pmxcfs.dfsm.waiting import Wait, wait_of
from pmxcfs.dfsm.wire import Epoch, MessageType, StateHeader
from pmxcfs.errors import OperationError, ProtocolError, StorageError
from pmxcfs.identity import Member, NodeId

VERSIONS_AHEAD_MAX = 8
"""A header with a higher version is noise, not a newer protocol, for which we leave for good.
Versions are counted one by one, and in all these years there was one step."""


class Machine:
    """One member's side of the protocol.

    Every step returns the effects to be performed, in order. After a LeaveGroup effect whoever
    drives the machine calls ``disconnect`` once we have left, and ``connect`` before joining again.

    Where a part raises ProtocolError the mode becomes LEAVE, for StorageError it becomes ERROR; the
    effects gathered up to there stand.
    """

    def __init__(self, application: Application, *, protocol_version: int, domain: str) -> None:
        self._core = core = Core(application, protocol_version, domain)
        self._deliveries = deliveries = Deliveries(core)
        self._synchronisation = synchronisation = Synchronisation(core, deliveries)
        self._verification = verification = Verification(core)
        self._normal_steps: dict[Step, Callable[[HeldMessage, int], None]] = {
            Step.APPLY: deliveries.apply,
            Step.HOLD: deliveries.hold,
            Step.HOLD_OR_FOLLOW: deliveries.hold_or_follow,
        }
        self._state_steps: dict[Step, Callable[[Member, StateHeader, bytes, int], None]] = {
            Step.ANSWER_SYNC_START: synchronisation.answer_sync_start,
            Step.GATHER_STATE: synchronisation.gather_state,
            Step.COLLECT_UPDATE: synchronisation.collect_update,
            Step.COMMIT: synchronisation.commit,
            Step.RELEASE: synchronisation.release,
            Step.TAKE_CHECKSUM: verification.take_checksum,
            Step.COMPARE_CHECKSUM: verification.compare_checksum,
            Step.LEAVE: self._refuse,
        }

    @property
    def mode(self) -> Mode:
        """How far we are in agreeing with the group."""
        return self._core.mode

    @property
    def may_send(self) -> bool:
        """Whether new messages may be sent: in sync, and none would overtake one sent again."""
        return self.mode is Mode.SYNCED and not self._core.outgoing.has_repeats

    @property
    def me(self) -> Member | None:
        """Who we are in the group; None while not connected."""
        return self._core.me

    @property
    def members(self) -> frozenset[Member]:
        """Who is in the group, by the last configuration change."""
        return self._core.members.all

    @property
    def is_member(self) -> bool:
        """Whether the last configuration change lists us."""
        return self._core.is_member

    @property
    def lowest_node_id(self) -> NodeId | None:
        """The node that starts synchronisations; None while nobody told us who is in the group."""
        return self._core.members.lowest_node_id

    @property
    def epoch(self) -> Epoch | None:
        """The synchronisation that we take part in, or took part in last."""
        return self._core.outgoing.epoch

    @property
    def history(self) -> History:
        """What was applied since the last agreement."""
        return self._core.history

    @property
    def awaiting(self) -> frozenset[Member]:
        """The members whose state is missing while a synchronisation waits for it."""
        is_waiting = self.mode is Mode.START_SYNC
        return self._core.members.awaiting if is_waiting else frozenset()

    @property
    def waits_for(self) -> Wait | None:
        """What keeps normal work, or a local caller, waiting; None if nothing does."""
        return wait_of(self._core)

    def may_apply(self, event: GroupEvent) -> bool:
        """Whether this event could make the application apply a message."""
        match event:
            case Delivered(_, data) if wire.is_normal(data):
                return self.mode is Mode.SYNCED
            case Delivered() | ConfigurationChange():
                return self._deliveries.holds_any and not self.mode.is_error
            case _:
                return False

    def connect(self, me: Member) -> list[Effect]:
        """Begin anew, about to join the group as ``me``. VERSION_ERROR and ERROR stay."""
        self._reset(me)
        self._core.steps += 1
        if self.mode.is_final:
            self._core.effects.append(LeaveGroup(for_good=True))
        else:
            self._core.mode = Mode.START
        return self._taken()

    def disconnect(self) -> list[Effect]:
        """Take note that nothing will be delivered until ``connect``. An error mode stays."""
        self._reset(None)
        if not self.mode.is_error:
            self._core.mode = Mode.START
        return self._taken()

    def on_configuration(self, change: ConfigurationChange, now_s: int) -> list[Effect]:
        """Take note of who is in the group from here on, and synchronise with them."""
        return self._guarded(lambda: self._reconfigure(change, now_s))

    def on_message(self, sender: Member, data: bytes, now_s: int) -> list[Effect]:
        """Handle a message at its place in the total order, our own ones too."""
        return self._guarded(lambda: self._receive(sender, data, now_s))

    def send(
        self, subtype: int, payload: bytes, now_s: int, ticket: Ticket | None = None
    ) -> list[Effect]:
        """Send an application message; ``ticket`` is answered when it has come back or is lost.

        Local operations wait outside until they may be sent: in the middle of a synchronisation
        members would not agree on the order of what is sent.

        Raises:
            OperationError: EBUSY, nothing may be sent now. The ticket is not answered then.
        """
        if not self.may_send:
            raise OperationError(EBUSY)
        self._core.send(subtype, payload, now_s, ticket)
        return self._taken()

    def on_send_failed(self, data: bytes) -> list[Effect]:
        """Take note that a message of ours was not sent and will not be delivered."""
        return self._guarded(lambda: self._send_failed(data))

    def request_verify(self, now_s: int) -> list[Effect]:
        """Have all members compare their checksums, if that is for us to start; due hourly."""
        if self.mode is Mode.SYNCED and self._core.is_lowest:
            self._verification.request(now_s)
        return self._taken()

    def fail(self) -> list[Effect]:
        """Leave the group for good: our own database failed."""
        self._core.abandon(Mode.ERROR, "our database failed")
        return self._taken()

    def leave(self, reason: str = "asked to leave") -> list[Effect]:
        """Leave the group; coming back needs a full synchronisation."""
        self._core.abandon(Mode.LEAVE, reason)
        return self._taken()

    def _reconfigure(self, change: ConfigurationChange, now_s: int) -> None:
        core = self._core
        core.is_member = False
        self._verification.forget()
        self._deliveries.drop_following()
        if core.me is None:
            return
        core.history.end()
        core.outgoing.open_epoch(core.me, now_s)
        core.steps += 1
        if core.mode.is_error:
            return
        core.application.drop_sync()
        if not core.members.all <= set(change.members):
            self._deliveries.doubt_own()
        core.members = Membership(change.members)
        if core.me in core.members:
            core.is_member = True
            self._synchronisation.begin(change, now_s)
            core.perform(core.application.on_members(core.members.all, now_s), now_s)
        elif core.mode is not Mode.START:  # in START it is late news of having left before
            raise ProtocolError("the group's configuration does not list us")

    def _receive(self, sender: Member, data: bytes, now_s: int) -> None:
        if self._is_deaf():
            return
        if not self.members:
            raise ProtocolError("a message before any configuration change")
        base = wire.decode_base(data)
        if base.protocol_version > self._core.protocol_version + VERSIONS_AHEAD_MAX:
            raise ProtocolError(f"{sender} sent no version of the protocol: {base}")
        if base.protocol_version > self._core.protocol_version:
            self._core.abandon(Mode.VERSION_ERROR, f"{sender} speaks a newer protocol")
        elif base.protocol_version < self._core.protocol_version:
            self._core.log.warning("dropped a message in an older protocol", sender=sender)
        elif base.type == MessageType.NORMAL:
            self._receive_normal(sender, data, now_s)
        else:
            self._receive_state(sender, data, now_s)

    def _receive_normal(self, sender: Member, data: bytes, now_s: int) -> None:
        count = wire.count_of(data)
        if sender == self.me:
            self._core.outgoing.came_back(count)
        step = step_for(self.mode, MessageType.NORMAL)
        self._normal_steps[step](HeldMessage(sender, count, data), now_s)

    def _receive_state(self, sender: Member, data: bytes, now_s: int) -> None:
        header = wire.decode_state_header(data)
        if header.type != MessageType.SYNC_START and header.epoch != self.epoch:
            self._core.log.debug("dropped a message of another epoch", type=header.type)
            return
        step = step_for(self.mode, header.type)
        self._core.steps += 1
        if step is Step.IGNORE:
            self._ignore(header)
        else:
            self._state_steps[step](sender, header, wire.state_payload_of(data), now_s)

    def _ignore(self, header: StateHeader) -> None:
        # All updates come to all members, a message for each entry that only one of them may lack.
        if header.type != MessageType.UPDATE:
            self._core.log.debug("ignored a message", type=header.type, mode=self.mode.name)

    def _refuse(self, sender: Member, header: StateHeader, payload: bytes, now_s: int) -> None:
        raise ProtocolError(f"{sender} sent type {header.type} in mode {self.mode.name}")

    def _send_failed(self, data: bytes) -> None:
        if self._is_deaf():
            return
        if wire.decode_base(data).type == MessageType.NORMAL:
            self._normal_failed(data)
        else:
            self._state_failed(data)

    def _normal_failed(self, data: bytes) -> None:
        header, _ = wire.decode_normal(data)
        self._core.log.warning("a message could not be sent", subtype=header.subtype)
        if self._core.outgoing.is_repeat(header.count):
            raise ProtocolError("a message could not be sent again")
        self._core.effects += self._core.waiters.lose(header.count)

    def _state_failed(self, data: bytes) -> None:
        header = wire.decode_state_header(data)
        self._core.log.warning("a message could not be sent", type=header.type)
        if header.epoch != self.epoch:
            return  # a newer configuration change has begun all anew
        if header.type == MessageType.VERIFY_REQUEST:
            self._verification.forget()
        elif header.type != MessageType.UPDATE:
            raise ProtocolError(f"our message of type {header.type} could not be sent")

    def _is_deaf(self) -> bool:
        return self.me is None or self.mode.is_error

    def _reset(self, me: Member | None) -> None:
        self._core.reset()
        self._deliveries.forget()
        self._core.me = me

    def _taken(self) -> list[Effect]:
        effects, self._core.effects = self._core.effects, []
        return effects

    def _guarded(self, step: Callable[[], None]) -> list[Effect]:
        try:
            step()
        except ProtocolError as error:
            self._core.abandon(Mode.LEAVE, str(error))
        except StorageError as error:
            self._core.abandon(Mode.ERROR, str(error))
        return self._taken()
