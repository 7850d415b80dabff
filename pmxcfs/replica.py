"""One node without I/O: operations and events in, effects out.

The effects are to be performed in order; a ``Commit`` always comes before the ``Answer`` that
depends on it.
"""

from collections import deque
from collections.abc import Sequence
from errno import EACCES, EBUSY, EIO

import structlog

from pmxcfs.dcdb import COROSYNC_CONF, PROTOCOL_VERSION, DiskState, ForgetAll, TreeApplication
from pmxcfs.dfsm.effects import Answer, Effect, Ticket
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.dfsm.history import History
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.limits import check_room
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import encode_operation
from pmxcfs.memdb.operations import Delete, Operation, SetMtime, UnlockRequest
from pmxcfs.memdb.paths import is_lock_path
from pmxcfs.values import value
from pmxcfs.waits.moments import Moments
from pmxcfs.waits.stalls import Waiting
from pmxcfs.waits.vigil import NodesNamed, Vigil, WatchEvent

log = structlog.get_logger("dcdb")


@value(frozen=True, slots=True)
class QuorumChanged:
    """Corosync says that this partition is, or is no longer, quorate."""

    quorate: bool


@value(frozen=True, slots=True)
class VerifyDue:
    """It is time to compare the checksums of all members' trees."""


HandledEvent = GroupEvent | QuorumChanged | VerifyDue
Event = HandledEvent | WatchEvent


class Replica:
    """The tree of one node, its place in the group, and the callers who wait for either.

    New operations are multicast only while the group is in sync, since the reference lets trees
    diverge otherwise, and only behind what had to be sent again; until then they are held back
    here.

    Attributes:
        moments: since when quorum, sync (the mode) and disk are as they are.
    """

    def __init__(
        self,
        memdb: Memdb,
        *,
        node_name: str,
        standalone: bool,
        unshared_since: int | None = None,
    ) -> None:
        self.node_name = node_name
        self.is_standalone = standalone
        self.moments = Moments()
        self._application = TreeApplication(memdb, unshared_since)
        self._application.is_quorate = standalone
        if standalone:
            self._application.works_alone = memdb.tree.find(COROSYNC_CONF) is not None
            self._application.cluster_size = 1
        self._machine = Machine(self._application, protocol_version=PROTOCOL_VERSION, domain="dcdb")
        self._vigil = Vigil(self._machine, domain="dcdb", consequence="changes are refused")
        self._held: deque[tuple[Ticket, Operation]] = deque()

    @property
    def memdb(self) -> Memdb:
        """The tree and what is derived from it."""
        return self._application.memdb

    @property
    def is_quorate(self) -> bool:
        """Whether changes are allowed; always true in standalone mode."""
        return self._application.is_quorate

    @property
    def disk(self) -> DiskState:
        """What this node's database does with changes."""
        return self._application.disk

    @property
    def has_failed(self) -> bool:
        """Whether the database refuses changes, for a while or until a restart."""
        return self.disk is not DiskState.WRITABLE

    @property
    def mode(self) -> Mode:
        """Where this node stands in the replication protocol."""
        return self._machine.mode

    @property
    def history(self) -> History:
        """Which changes were applied since the group last agreed."""
        return self._machine.history

    @property
    def members(self) -> tuple[Member, ...]:
        """The current members of the group, in order."""
        return tuple(sorted(self._machine.members))

    @property
    def awaiting(self) -> frozenset[Member]:
        """The members whose state a running sync still lacks."""
        return self._machine.awaiting

    @property
    def held(self) -> int:
        """How many operations of local callers wait until we are in sync."""
        return len(self._held)

    @property
    def applied(self) -> int:
        """How many operations were applied, by anybody."""
        return self._application.applied

    @property
    def applied_bytes(self) -> int:
        """What the writes among the applied operations had to write."""
        return self._application.applied_bytes

    @property
    def put_off(self) -> int:
        """How many events of the group wait for quorum."""
        return self._vigil.put_off

    @property
    def culprits(self) -> list[str]:
        """Whom the group, or a caller whose change is under way, waits for; for people."""
        return self._vigil.culprits

    @property
    def waiting(self) -> Waiting | None:
        """What the group waits for at the moment."""
        return self._vigil.waiting

    @property
    def is_stuck(self) -> bool:
        """Whether changes are refused because the group has not got on for too long."""
        return self._vigil.is_stuck

    @property
    def ring(self) -> frozenset[NodeId]:
        """The nodes that corosync reaches; none while its quorum service is away."""
        return self._vigil.ring

    @property
    def refusal(self) -> int | None:
        """Return the errno that every change gets at the moment, or None."""
        if self.has_failed or self.mode is Mode.ERROR:
            return EIO
        if not self.is_quorate:
            return EACCES
        if self.mode is Mode.VERSION_ERROR or self._vigil.is_stuck:
            return EBUSY
        return None

    @property
    def leader(self) -> NodeId | None:
        """The node whose tree all members took over at the last sync."""
        leader = self._application.leader
        return None if leader is None or not self.members else leader.node_id

    def submit(self, ticket: Ticket, operation: Operation, now_s: int) -> list[Effect]:
        """Ask for a change on behalf of a local caller, who gets exactly one Answer."""
        refusal = self.refusal
        if refusal is not None:
            return [Answer(ticket, -refusal)]
        if not self._machine.may_send:
            self._held.append((ticket, operation))
            return []
        return self._finish(self._send(ticket, operation, now_s), now_s)

    def withdraw(self, ticket: Ticket) -> bool:
        """Take back an operation that was not sent yet; false means that it is under way."""
        kept = deque(item for item in self._held if item[0] != ticket)
        was_held = len(kept) < len(self._held)
        self._held = kept
        return was_held

    def step(self, event: Event, now_s: int) -> list[Effect]:
        """Take in one event and return what follows from it."""
        effects: list[Effect] = []
        if not isinstance(event, QuorumChanged | VerifyDue):
            if isinstance(event, NodesNamed):
                self._application.cluster_size = len(event.names)
            due = self._vigil.admit(event, lambda: self.is_quorate)
        else:
            effects += self._react(event, now_s)
            due = self._vigil.overdue(lambda: self.is_quorate)
        for group_event in due:
            effects += self._react(group_event, now_s)
        return self._finish([*effects, *self._vigil.taken()], now_s)

    def take_back(self, changes: Sequence[Change], now_s: int) -> None:
        """Undo in memory what the database has not taken."""
        self.memdb.revert(changes, now_s)

    def bring_back(self, changes: Sequence[Change], now_s: int) -> None:
        """Make changes again that were taken back: the database has taken them after all."""
        self.memdb.redo(changes, now_s)

    def on_disk_failed(self, now_s: int) -> list[Effect]:
        """Refuse all changes until a restart, and leave the group for good."""
        self._application.disk = DiskState.FAILED
        return self._finish([*self._machine.fail(), ForgetAll()], now_s)

    def on_disk_refusing(self, now_s: int) -> list[Effect]:
        """Refuse all changes until the disk takes them again.

        Others go on without us, so we leave the group; to join again is to synchronise fully.
        Whoever waits for a message of ours gets EIO: its outcome is unknown.
        """
        self._application.disk = DiskState.REFUSING
        effects = [] if self.is_standalone else self._machine.leave()
        unknown = [
            Answer(effect.ticket, -EIO) if isinstance(effect, Answer) else effect
            for effect in effects
        ]
        return self._finish(unknown, now_s)

    def on_disk_writable(self, now_s: int) -> list[Effect]:
        """Take changes again."""
        self._application.disk = DiskState.WRITABLE
        return self._finish([], now_s)

    def on_tree_shared(self, now_s: int) -> None:
        """Take note that what a synchronisation agreed upon is on the disk."""
        self._application.note_agreement(now_s)

    def publication(self) -> list[Effect]:
        """Return the effect that brings the tree's corosync.conf to the host at the start."""
        return self._application.publication(notify=True)

    def _react(self, event: HandledEvent, now_s: int) -> list[Effect]:
        match event:
            case Delivered(sender, data):
                return self._machine.on_message(sender, data, now_s)
            case ConfigurationChange():
                return self._machine.on_configuration(event, now_s)
            case SendFailed(data):
                return self._machine.on_send_failed(data)
            case Connected(me):
                self._application.me = me
                if self.disk is DiskState.REFUSING:  # a synchronisation shows whether it still does
                    self._application.disk = DiskState.WRITABLE
                return self._machine.connect(me)
            case Disconnected():
                return [*self._application.on_group_lost(now_s), *self._machine.disconnect()]
            case QuorumChanged(quorate):
                return self._on_quorum(quorate)
            case VerifyDue():
                return self._machine.request_verify(now_s)

    def _on_quorum(self, quorate: bool) -> list[Effect]:
        if quorate == self._application.is_quorate:
            return []
        self._application.is_quorate = quorate
        return [ForgetAll()]

    def _finish(self, effects: list[Effect], now_s: int) -> list[Effect]:
        """Send what was held back as soon as it may be sent, or refuse it."""
        self.moments.note(now_s, quorum=self.is_quorate, sync=self.mode, disk=self.disk)
        if not self._held:
            return effects
        finished, refusal = list(effects), self.refusal
        while self._held and (refusal is not None or self._machine.may_send):
            ticket, operation = self._held.popleft()
            finished += (
                self._send(ticket, operation, now_s)
                if refusal is None
                else [Answer(ticket, -refusal)]
            )
        return finished

    def _send(self, ticket: Ticket, operation: Operation, now_s: int) -> list[Effect]:
        try:
            check_room(self.memdb.tree, operation)
        except OperationError as refusal:
            return [Answer(ticket, -refusal.errno)]
        lock = self._lock_to_break(operation)
        if lock is None:
            return self._machine.send(*encode_operation(operation), now_s, ticket)
        request = UnlockRequest(operation.path, entry_checksum(lock))
        if not self.is_standalone:
            return [
                *self._machine.send(*encode_operation(request), now_s),
                *self._machine.send(*encode_operation(operation), now_s, ticket),
            ]
        is_expired = self.memdb.apply(request, 0, now_s, now_s).expired is not None
        change = Delete(operation.path) if is_expired else operation
        return self._machine.send(*encode_operation(change), now_s, ticket)

    def _lock_to_break(self, operation: Operation) -> Entry | None:
        """Return the lock directory that setting an mtime of 0 asks to release."""
        if (
            not isinstance(operation, SetMtime)
            or operation.mtime
            or not is_lock_path(operation.path)
        ):
            return None
        entry = self.memdb.tree.find(operation.path)
        return entry if entry is not None and entry.is_directory else None
