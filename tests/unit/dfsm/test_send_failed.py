"""What a failed send leads to, by what was to be sent."""

import pytest

from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, encode_verify, encode_verify_request
from tests.unit.dfsm.stage import (
    CHECKSUM,
    EPOCH,
    HIGH,
    LOW,
    ME,
    NOW_S,
    OTHER_EPOCH,
    Stage,
    normal,
    protocol,
    stage_in,
)

LEAVES: list[Effect] = [LeaveGroup(for_good=False)]
TOLERATED: list[Effect] = []


@pytest.mark.parametrize(
    ("kind", "payload", "effects"),
    [
        (MessageType.SYNC_START, b"", LEAVES),
        (MessageType.STATE, b"s", LEAVES),
        (MessageType.UPDATE, b"item", TOLERATED),
        (MessageType.UPDATE_COMPLETE, b"", LEAVES),
        (MessageType.VERIFY_REQUEST, encode_verify_request(1), TOLERATED),
        (MessageType.VERIFY, encode_verify(1, CHECKSUM), LEAVES),
    ],
    ids=lambda value: value.name if isinstance(value, MessageType) else None,
)
@pytest.mark.parametrize("mode", [Mode.START_SYNC, Mode.SYNCED])
def test_a_failed_send_of(
    kind: MessageType, payload: bytes, effects: list[Effect], mode: Mode
) -> None:
    stage = stage_in(mode)

    assert stage.machine.on_send_failed(protocol(kind, payload, EPOCH)) == effects
    assert stage.mode is (Mode.LEAVE if effects else mode)


@pytest.mark.parametrize("kind", [MessageType.SYNC_START, MessageType.STATE])
def test_a_failure_of_before_the_last_change_is_of_no_consequence(kind: MessageType) -> None:
    stage = stage_in(Mode.START_SYNC)

    assert stage.machine.on_send_failed(protocol(kind, b"s", OTHER_EPOCH)) == []
    assert stage.mode is Mode.START_SYNC


def test_a_failed_sync_start_of_ours_makes_us_leave() -> None:
    stage = Stage()
    (effect,) = stage.members(ME, HIGH)
    assert isinstance(effect, Multicast)

    assert stage.machine.on_send_failed(effect.data) == LEAVES


def test_a_failed_message_without_a_ticket_is_of_no_consequence() -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.machine.on_send_failed(stage.sends(b"x")) == []
    assert stage.mode is Mode.SYNCED


def repeating_stage() -> tuple[Stage, bytes]:
    stage = stage_in(Mode.SYNCED)
    data = stage.sends(b"own", ticket=1)
    stage.members(LOW, ME)
    stage.hears(ME, data)
    assert stage.members(LOW, ME, HIGH, joined=(HIGH,)) == [Multicast(data)]
    return stage, data


def test_a_message_that_cannot_be_sent_again_makes_us_leave() -> None:
    stage, data = repeating_stage()

    assert stage.machine.on_send_failed(data) == [Answer(Ticket(1), -16), *LEAVES]


def test_a_repeated_message_that_came_back_is_a_repeat_no_more() -> None:
    stage, data = repeating_stage()
    stage.hears(ME, data)

    assert stage.machine.on_send_failed(data) == [Answer(Ticket(1), -16)]
    assert stage.mode is Mode.START_SYNC


def test_a_repeated_message_is_not_asked_about_after_the_connection_was_lost() -> None:
    stage, data = repeating_stage()
    stage.machine.disconnect()
    stage.machine.connect(ME)
    stage.members(ME)

    assert stage.machine.on_send_failed(data) == []
    assert stage.mode is Mode.SYNCED


def test_a_failed_verify_request_does_not_delay_the_next() -> None:
    stage = Stage()
    stage.members(ME)
    (effect,) = stage.machine.request_verify(NOW_S)
    assert isinstance(effect, Multicast)
    assert stage.machine.request_verify(NOW_S) == []

    stage.machine.on_send_failed(effect.data)

    assert len(stage.machine.request_verify(NOW_S)) == 1


@pytest.mark.parametrize("end", ["disconnect", "fail", "leave"])
def test_failures_are_of_no_consequence_once_we_are_gone(end: str) -> None:
    stage = stage_in(Mode.SYNCED)
    getattr(stage.machine, end)()
    mode = stage.mode

    assert stage.machine.on_send_failed(protocol(MessageType.STATE, b"s")) == []
    assert stage.machine.on_send_failed(normal(1)) == []
    assert stage.mode is mode
