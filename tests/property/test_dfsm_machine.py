"""The machine against whatever may come: junk, mutated messages, any sequence of events."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import Epoch, NormalHeader, StateHeader
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid
from tests.unit.dfsm.stage import (
    EPOCH,
    HIGH,
    LOW,
    ME,
    NOW_S,
    OTHER_EPOCH,
    STRANGER,
    VERSION,
    Stage,
    normal,
    protocol,
    stage_in,
)

NORMAL_MODES = [Mode.START, Mode.START_SYNC, Mode.SYNCED, Mode.UPDATE]

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
payloads = st.binary(max_size=48)
senders = st.sampled_from([LOW, ME, HIGH, STRANGER])
versions = st.sampled_from([VERSION, VERSION, VERSION, VERSION - 1, VERSION + 1])
epochs = st.builds(Epoch, u32, u32, st.builds(Member, u32.map(NodeId), u32.map(Pid)))

normal_messages = st.builds(
    lambda count, payload, version: normal(count, payload, version=version),
    st.integers(1, 5) | u64,
    payloads,
    versions,
)
protocol_messages = st.builds(
    lambda kind, payload, epoch, version: protocol(kind, payload, epoch, version=version),
    st.integers(1, 7),
    payloads | st.sampled_from([bytes(8), bytes(40)]),
    st.sampled_from([EPOCH, EPOCH, OTHER_EPOCH]),
    versions,
)


@st.composite
def mutated_messages(draw: st.DrawFn) -> bytes:
    """Draw a message with a byte changed and perhaps its end cut off."""
    data = bytearray(draw(normal_messages | protocol_messages))
    data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


messages = normal_messages | protocol_messages | mutated_messages() | st.binary(max_size=80)


@given(st.sampled_from(NORMAL_MODES), st.lists(st.tuples(senders, messages), max_size=5))
def test_whatever_is_heard_ends_in_a_defined_mode(
    mode: Mode, heard: list[tuple[Member, bytes]]
) -> None:
    stage = stage_in(mode)

    for sender, data in heard:
        was_error = stage.mode.is_error
        effects = stage.hears(sender, data)
        has_left = any(isinstance(effect, LeaveGroup) for effect in effects)
        assert has_left == (stage.mode.is_error and not was_error)

    assert stage.mode in Mode


@given(st.sampled_from(NORMAL_MODES), messages)
def test_whatever_could_not_be_sent_ends_in_a_defined_mode(mode: Mode, data: bytes) -> None:
    stage = stage_in(mode)

    stage.machine.on_send_failed(data)

    assert stage.mode in (mode, Mode.LEAVE)


@given(st.binary(max_size=80))
def test_junk_raises_protocol_error_and_nothing_else(data: bytes) -> None:
    decoders = (
        wire.decode_base,
        wire.decode_normal,
        wire.decode_state,
        wire.decode_verify,
        wire.decode_verify_request,
    )
    for decode in decoders:
        try:
            decode(data)
        except ProtocolError:
            continue


@given(st.builds(NormalHeader, u16, u32, u32, u64), payloads)
def test_normal_headers_round_trip(header: NormalHeader, payload: bytes) -> None:
    assert wire.decode_normal(header.encode() + payload) == (header, payload)


@given(st.builds(StateHeader, u16, u32, u32, epochs), payloads)
def test_state_headers_round_trip(header: StateHeader, payload: bytes) -> None:
    assert wire.decode_state(header.encode() + payload) == (header, payload)


class Callers(RuleBasedStateMachine):
    """Local callers whose messages come back, fail or vanish while all else happens too."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.next_ticket = 1
        self.answered: list[int] = []
        self.under_way: list[bytes] = []

    def take(self, effects: list[Effect]) -> None:
        """Note the answers; what we multicast of our own protocol is as good as lost."""
        self.answered += [effect.ticket for effect in effects if isinstance(effect, Answer)]
        for effect in effects:
            if isinstance(effect, Multicast) and wire.decode_base(effect.data).type == 0:
                self.under_way.append(effect.data)

    @initialize()
    def start_in_sync(self) -> None:
        self.stage = stage_in(Mode.SYNCED)

    @precondition(lambda self: self.stage.mode is Mode.SYNCED)
    @rule()
    def send(self) -> None:
        self.under_way.append(self.stage.sends(b"x", self.next_ticket))
        self.next_ticket += 1

    @precondition(lambda self: self.under_way)
    @rule(position=st.integers(0, 3), is_refused=st.booleans())
    def come_back(self, position: int, is_refused: bool) -> None:
        data = self.under_way.pop(position % len(self.under_way))
        if is_refused:
            self.stage.script.refuse("deliver")
        self.take(self.stage.hears(ME, data))
        self.stage.script.errors.clear()

    @precondition(lambda self: self.under_way)
    @rule()
    def fail_to_send(self) -> None:
        self.take(self.stage.machine.on_send_failed(self.under_way.pop()))

    @rule(sender=senders, data=normal_messages | protocol_messages)
    def hear(self, sender: Member, data: bytes) -> None:
        self.take(self.stage.hears(sender, data))

    @rule(
        others=st.sampled_from([(), (LOW,), (LOW, HIGH)]),
        joined=st.sampled_from([(), (LOW,)]),
        listed=st.sampled_from([True, True, True, False]),
    )
    def change_members(
        self, others: tuple[Member, ...], joined: tuple[Member, ...], listed: bool
    ) -> None:
        members = (*others, ME) if listed else others
        self.take(self.stage.members(*members, joined=joined))

    @rule()
    def synchronise(self) -> None:
        self.take(self.stage.members(LOW, ME, HIGH))
        self.take(self.stage.hears(LOW, protocol(wire.MessageType.SYNC_START)))
        for member in (LOW, ME, HIGH):
            self.take(self.stage.hears(member, protocol(wire.MessageType.STATE, b"s")))

    @rule(end=st.sampled_from(["leave", "disconnect"]))
    def go(self, end: str) -> None:
        self.take(getattr(self.stage.machine, end)())

    @rule()
    def come_again(self) -> None:
        self.take(self.stage.machine.connect(ME))

    @rule()
    def verify(self) -> None:
        self.take(self.stage.machine.request_verify(NOW_S))

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        assert len(set(self.answered)) == len(self.answered)

    @invariant()
    def nobody_waits_once_we_are_gone(self) -> None:
        if self.stage.mode.is_error or self.stage.machine.me is None:
            assert len(self.answered) == self.next_ticket - 1

    def teardown(self) -> None:
        self.take(self.stage.machine.disconnect())
        assert sorted(self.answered) == list(range(1, self.next_ticket))


def test_every_caller_is_answered_exactly_once() -> None:
    run_state_machine_as_test(Callers, settings=settings(max_examples=60, stateful_step_count=30))
