"""From the SYNC_START to agreement, as a member in sync, as leader, as one that lags."""

from hashlib import blake2b, sha256

import pytest
from structlog.testing import capture_logs

from pmxcfs.dfsm.effects import LeaveGroup, Multicast, Send
from pmxcfs.dfsm.history import DIGEST_BYTES, Point
from pmxcfs.dfsm.membership import Membership
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, decode_normal, decode_state
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member
from tests.unit.dfsm.stage import (
    EPOCH,
    HIGH,
    LOW,
    ME,
    OTHER_EPOCH,
    Said,
    Stage,
    normal,
    protocol,
    sent_types,
    stage_in,
)

COMPLETE = protocol(MessageType.UPDATE_COMPLETE)
LEAVES = [LeaveGroup(for_good=False)]


def state(text: bytes = b"s") -> bytes:
    return protocol(MessageType.STATE, text)


def test_the_state_goes_out_in_the_epoch_of_the_sync_start() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.members(LOW, ME, HIGH)

    (effect,) = stage.hears(LOW, protocol(MessageType.SYNC_START, epoch=OTHER_EPOCH))

    assert isinstance(effect, Multicast)
    header, payload = decode_state(effect.data)
    assert (header.epoch, payload) == (OTHER_EPOCH, b"mine")


def test_a_second_sync_start_drops_the_states_of_the_first() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(LOW, state())

    stage.hears(LOW, protocol(MessageType.SYNC_START, epoch=OTHER_EPOCH))

    assert stage.machine.awaiting == {LOW, ME, HIGH}


def test_a_member_without_a_state_leaves() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.own_state = b""

    assert stage.hears(LOW, protocol(MessageType.SYNC_START)) == LEAVES


def test_a_second_state_of_a_member_makes_us_leave() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(HIGH, state())

    assert stage.hears(HIGH, state()) == LEAVES


def test_an_empty_state_counts_as_none() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(HIGH, state(b""))
    assert HIGH in stage.machine.awaiting

    stage.hears(HIGH, state())
    assert HIGH not in stage.machine.awaiting


def test_states_are_compared_once_all_are_in_and_in_the_order_of_members() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(HIGH, state())
    stage.hears(ME, state())
    assert stage.script.calls == []

    stage.hears(LOW, state())

    assert stage.script.calls == ["compare_states 1 2 3", "on_synced", "drop_sync"]
    assert stage.mode is Mode.SYNCED


def test_a_state_that_makes_no_sense_makes_us_leave() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.refuse("compare_states")
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    assert stage.hears(LOW, state()) == LEAVES


def test_the_leader_sends_its_updates_and_then_update_complete() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.updates = [b"one", b"two"]
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    effects = stage.hears(LOW, state())

    messages = [decode_state(effect.data) for effect in effects if isinstance(effect, Multicast)]
    assert [(header.type, payload) for header, payload in messages] == [
        (MessageType.UPDATE, b"one"),
        (MessageType.UPDATE, b"two"),
        (MessageType.UPDATE_COMPLETE, b""),
    ]
    assert {header.epoch for header, _ in messages} == {EPOCH}
    assert stage.mode is Mode.SYNCED


def test_the_leader_sends_update_complete_even_with_nothing_to_update() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.updates = []
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    assert sent_types(stage.hears(LOW, state())) == [MessageType.UPDATE_COMPLETE]


def test_a_member_in_sync_that_does_not_lead_sends_no_update() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    assert stage.hears(LOW, state()) == []


def test_a_member_that_lags_behind_waits_for_updates() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = frozenset({LOW, HIGH})
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    assert stage.hears(LOW, state()) == []

    assert stage.mode is Mode.UPDATE
    assert stage.script.calls == ["compare_states 1 2 3"]


def test_what_the_comparison_brings_about_also_happens_to_who_lags_behind() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = frozenset({LOW, HIGH})
    stage.script.effects["compare_states"] = (Said("compared"),)
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    assert stage.hears(LOW, state()) == [Said("compared")]


@pytest.mark.parametrize(("starter", "is_odd"), [(LOW, False), (HIGH, True)])
def test_a_start_by_another_than_the_lowest_node_is_worth_a_warning(
    starter: Member, is_odd: bool
) -> None:
    with capture_logs() as lines:
        stage_in(Mode.START_SYNC).hears(starter, protocol(MessageType.SYNC_START))

    warnings = [line["sender"] for line in lines if line["log_level"] == "warning"]
    assert warnings == ([starter] if is_odd else [])


def test_members_are_in_their_order_and_not_in_sync_before_states_are_compared() -> None:
    members = Membership([HIGH, LOW, ME])
    assert not any(map(members.is_synced, (LOW, ME, HIGH)))

    members.add_state(HIGH, b"h")
    assert members.states == {HIGH: b"h"}
    members.add_state(LOW, b"l")
    members.add_state(ME, b"m")
    assert list(members.states) == [LOW, ME, HIGH]


def test_the_commit_comes_before_all_that_follows_from_being_in_sync() -> None:
    stage = stage_in(Mode.UPDATE)
    stage.script.effects = {
        "commit": (Said("commit"),),
        "on_synced": (Said("synced"),),
        "deliver": (Said("deliver"),),
    }
    stage.hears(LOW, normal(1))

    assert stage.hears(LOW, COMPLETE) == [Said("commit"), Said("synced"), Said("deliver")]


def test_a_refused_update_makes_us_leave() -> None:
    stage = stage_in(Mode.UPDATE)
    stage.script.refuse("collect_update")

    assert stage.hears(LOW, protocol(MessageType.UPDATE, b"junk")) == LEAVES


def test_a_refused_commit_makes_us_leave() -> None:
    stage = stage_in(Mode.UPDATE)
    stage.script.refuse("commit")

    assert stage.hears(LOW, COMPLETE) == LEAVES
    assert stage.mode is Mode.LEAVE


def test_a_commit_that_cannot_be_kept_makes_us_leave_for_good() -> None:
    stage = stage_in(Mode.UPDATE)
    stage.script.break_disk("commit")

    assert stage.hears(LOW, COMPLETE) == [LeaveGroup(for_good=True)]
    assert stage.mode is Mode.ERROR


def test_what_the_comparison_wants_sent_goes_before_what_being_in_sync_wants_sent() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.effects = {
        "compare_states": (Send(1, b"value"), Send(1, b"other value")),
        "on_synced": (Send(1, b"nodeip"),),
    }
    stage.hears(HIGH, state())
    stage.hears(ME, state())

    effects = stage.hears(LOW, state())

    sent = [decode_normal(effect.data) for effect in effects if isinstance(effect, Multicast)]
    assert [(header.count, payload) for header, payload in sent] == [
        (1, b"value"),
        (2, b"other value"),
        (3, b"nodeip"),
    ]


def test_an_application_can_send_while_it_applies() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.effects["deliver"] = (Said("commit"), Send(8, b"unlock"))

    first, second = stage.hears(LOW, normal(1))

    assert first == Said("commit")
    assert isinstance(second, Multicast)
    header, payload = decode_normal(second.data)
    assert (header.subtype, header.count, payload) == (8, 1, b"unlock")


def test_what_an_application_wants_sent_out_of_sync_is_not_sent() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.effects["on_members"] = (Send(1, b"too early"), Said("members"))

    assert stage.members(LOW, ME) == [Said("members")]


@pytest.mark.parametrize("mode", [Mode.START, Mode.START_SYNC, Mode.UPDATE])
def test_local_operations_are_refused_out_of_sync(mode: Mode) -> None:
    stage = stage_in(mode)

    with pytest.raises(OperationError, match="EBUSY"):
        stage.machine.send(1, b"x", 0)


def test_messages_are_numbered_for_the_life_of_the_process() -> None:
    stage = Stage()
    stage.members(ME)
    numbers = [decode_normal(stage.sends(b"x"))[0].count for _ in range(2)]
    stage.machine.disconnect()
    stage.machine.connect(ME)
    stage.members(ME)
    numbers.append(decode_normal(stage.sends(b"x"))[0].count)

    assert numbers == [1, 2, 3]


def begun_by(agreement: bytes) -> Point:
    """Return where a history begins."""
    return Point(0, blake2b(agreement, digest_size=DIGEST_BYTES).digest())


def test_the_history_of_a_member_alone_begins_with_its_epoch() -> None:
    stage = Stage()
    stage.members(ME)

    history, epoch = stage.machine.history, stage.machine.epoch
    assert epoch is not None
    assert (history.point, history.replacements) == (begun_by(epoch.encode()), 0)


def test_the_history_of_members_in_sync_begins_with_epoch_and_state_and_goes_on_from_there() -> (
    None
):
    stage = stage_in(Mode.START_SYNC)
    assert not stage.machine.history.is_open
    for member, text in ((LOW, b"leads"), (ME, b"leads"), (HIGH, b"another")):
        stage.hears(member, state(text))

    history = stage.machine.history
    begun = begun_by(EPOCH.encode() + sha256(b"leads").digest())
    assert (history.point, history.replacements) == (begun, 0)
    stage.hears(HIGH, normal(7))
    assert history.position == 1
    stage.hears(LOW, normal(1))
    assert history.point_at(0) == begun


@pytest.mark.parametrize(
    ("synced", "agreement"),
    [(frozenset({LOW}), EPOCH.encode() + sha256(b"s").digest()), (frozenset(), EPOCH.encode())],
)
def test_the_history_of_a_member_that_lagged_begins_where_the_others_did_and_is_a_replacement(
    synced: frozenset[Member], agreement: bytes
) -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = synced
    for member in (LOW, ME, HIGH):
        stage.hears(member, state())
    assert not stage.machine.history.is_open

    stage.hears(LOW, COMPLETE)

    history = stage.machine.history
    assert (history.point, history.replacements) == (begun_by(agreement), 1)


def test_nothing_is_known_of_the_history_from_when_members_change_or_we_leave_or_are_cut_off() -> (
    None
):
    stage = stage_in(Mode.SYNCED)
    assert stage.machine.history.is_open
    stage.members(LOW, ME)
    assert not stage.machine.history.is_open

    stage = stage_in(Mode.SYNCED)
    stage.machine.leave()
    assert not stage.machine.history.is_open

    stage = stage_in(Mode.SYNCED)
    stage.machine.disconnect()
    assert not stage.machine.history.is_open


def test_updates_for_others_are_passed_over_without_a_word() -> None:
    stage = stage_in(Mode.SYNCED)

    with capture_logs() as lines:
        assert stage.hears(LOW, protocol(MessageType.UPDATE, b"for others")) == []
        assert lines == []
        stage.hears(LOW, protocol(MessageType.STATE, b"late"))

    assert [line["event"] for line in lines] == ["ignored a message"]
    assert stage.machine.mode is Mode.SYNCED
