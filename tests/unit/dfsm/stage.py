"""A machine on a stage: its application follows a script, the test speaks for the other members."""

from collections.abc import Iterable, Mapping, Sequence

from pmxcfs.dfsm.application import Comparison, Delivery
from pmxcfs.dfsm.effects import Effect, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import Epoch, MessageType, NormalHeader, StateHeader, decode_base
from pmxcfs.errors import ProtocolError, StorageError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.values import value

VERSION = 1
NOW_S = 1001
SENT_S = 500
SUBTYPE = 4

LOW = Member(NodeId(1), Pid(11))
ME = Member(NodeId(2), Pid(22))
HIGH = Member(NodeId(3), Pid(33))
STRANGER = Member(NodeId(9), Pid(99))

EPOCH = Epoch(7, 900, LOW)
OTHER_EPOCH = Epoch(6, 800, LOW)
CHECKSUM = b"c" * 32


@value(frozen=True, slots=True)
class Said(Effect):
    """An effect of the application's, to be recognised."""

    word: str


class Script:
    """An application that notes what it is asked, in ``calls``, and answers as the test set it."""

    def __init__(self) -> None:
        self.is_idempotent = False
        self.calls: list[str] = []
        self.delivered: list[tuple[int, int, int]] = []  # subtype, the sender's time, ours
        self.errors: dict[str, Exception] = {}
        self.effects: dict[str, tuple[Effect, ...]] = {}
        self.result = 0
        self.own_state = b"mine"
        self.own_checksum: bytes | None = CHECKSUM
        self.synced: frozenset[Member] | None = None
        self.updates: Iterable[bytes] | None = None

    def deliver(
        self, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        self.delivered.append((subtype, time_s, now_s))
        self._note("deliver", f"{sender.node_id}:{payload.decode('latin1')}")
        return Delivery(self.result, self.effects.get("deliver", ()))

    def state(self) -> bytes:
        self._note("state")
        return self.own_state

    def compare_states(self, states: Mapping[Member, bytes]) -> Comparison:
        self._note("compare_states", *(str(member.node_id) for member in states))
        synced = frozenset(states) if self.synced is None else self.synced
        effects = self.effects.get("compare_states", ())
        return Comparison(synced, min(synced, default=None), self.updates, effects)

    def collect_update(self, payload: bytes) -> None:
        self._note("collect_update", payload.decode("latin1"))

    def commit(self, now_s: int) -> Sequence[Effect]:
        self._note("commit")
        return self.effects.get("commit", ())

    def drop_sync(self) -> None:
        self._note("drop_sync")

    def checksum(self) -> bytes | None:
        self._note("checksum")
        return self.own_checksum

    def on_members(self, members: frozenset[Member], now_s: int) -> Sequence[Effect]:
        self._note("on_members", *(str(member.node_id) for member in sorted(members)))
        return self.effects.get("on_members", ())

    def on_agreed(self, now_s: int) -> Sequence[Effect]:
        return self.effects.get("on_agreed", ())

    def on_synced(self, now_s: int) -> Sequence[Effect]:
        self._note("on_synced")
        return self.effects.get("on_synced", ())

    def refuse(self, call: str) -> None:
        """Have ``call`` raise ProtocolError from now on."""
        self.errors[call] = ProtocolError("as the script has it")

    def break_disk(self, call: str) -> None:
        """Have ``call`` raise StorageError from now on."""
        self.errors[call] = StorageError("as the script has it")

    def _note(self, call: str, *details: str) -> None:
        self.calls.append(" ".join((call, *details)))
        if call in self.errors:
            raise self.errors[call]


class Stage:
    """The machine of ``ME``, connected. Whatever it wants done is returned and kept nowhere."""

    def __init__(self) -> None:
        self.script = Script()
        self.machine = Machine(self.script, protocol_version=VERSION, domain="dcdb")
        self.machine.connect(ME)
        self.script.calls.clear()

    @property
    def mode(self) -> Mode:
        return self.machine.mode

    def members(self, *members: Member, joined: Sequence[Member] = ()) -> list[Effect]:
        """Have the group change to ``members``."""
        return self.machine.on_configuration(
            ConfigurationChange(members, joined=tuple(joined)), NOW_S
        )

    def hears(self, sender: Member, data: bytes) -> list[Effect]:
        """Have a message delivered."""
        return self.machine.on_message(sender, data, NOW_S)

    def sends(self, payload: bytes, ticket: int | None = None) -> bytes:
        """Have a local caller send; return the message."""
        given = None if ticket is None else Ticket(ticket)
        (effect,) = self.machine.send(1, payload, NOW_S, given)
        assert isinstance(effect, Multicast)
        return effect.data

    def forgets_calls(self) -> None:
        """Start the list of calls anew."""
        self.script.calls.clear()


def normal(count: int, payload: bytes = b"x", *, version: int = VERSION) -> bytes:
    """Return an application message."""
    return NormalHeader(SUBTYPE, version, SENT_S, count).encode() + payload


def protocol(
    kind: int, payload: bytes = b"", epoch: Epoch = EPOCH, *, version: int = VERSION
) -> bytes:
    """Return a message of the protocol itself."""
    return StateHeader(kind, version, SENT_S, epoch).encode() + payload


def stage_in(mode: Mode) -> Stage:
    """Return a stage in a mode, with members LOW, ME and HIGH; in UPDATE, HIGH is not synced."""
    stage = Stage()
    if mode is Mode.START:
        stage.members(LOW, HIGH)
    else:
        stage.members(LOW, ME, HIGH, joined=(ME,))
        _set_the_epoch(stage)
    if mode is Mode.UPDATE:
        stage.script.synced = frozenset({LOW})
    if mode in (Mode.UPDATE, Mode.SYNCED):
        _gather_states(stage)
    assert stage.mode is mode
    stage.forgets_calls()
    return stage


def _set_the_epoch(stage: Stage) -> None:
    stage.hears(LOW, protocol(MessageType.SYNC_START))


def _gather_states(stage: Stage) -> None:
    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))


def sent_types(effects: Iterable[Effect]) -> list[int]:
    """Return the types of the messages among the effects."""
    sent = [effect.data for effect in effects if isinstance(effect, Multicast)]
    return [decode_base(data).type for data in sent]
