"""What is checked of every message before its type matters."""

import pytest

from pmxcfs.dfsm.effects import LeaveGroup
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType
from tests.unit.dfsm.stage import (
    LOW,
    NOW_S,
    OTHER_EPOCH,
    SENT_S,
    SUBTYPE,
    VERSION,
    Stage,
    normal,
    protocol,
    stage_in,
)

NORMAL_MODES = [Mode.START, Mode.START_SYNC, Mode.SYNCED, Mode.UPDATE]


@pytest.mark.parametrize("enter", ["leave", "fail"])
def test_an_error_mode_hears_nothing(enter: str) -> None:
    stage = stage_in(Mode.SYNCED)
    getattr(stage.machine, enter)()
    mode = stage.mode
    stage.forgets_calls()

    assert stage.hears(LOW, normal(1)) == []
    assert stage.hears(LOW, normal(1, version=VERSION + 1)) == []
    assert stage.hears(LOW, b"") == []

    assert stage.script.calls == []
    assert stage.mode is mode


@pytest.mark.parametrize("data", [normal(1), protocol(MessageType.STATE, b"s")])
def test_a_message_before_any_configuration_makes_us_leave(data: bytes) -> None:
    stage = Stage()

    assert stage.hears(LOW, data) == [LeaveGroup(for_good=False)]
    assert stage.mode is Mode.LEAVE


@pytest.mark.parametrize("mode", NORMAL_MODES)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        normal(1, b"")[:15],
        normal(1, b"")[:23],
        protocol(MessageType.SYNC_START)[:31],
        protocol(MessageType.STATE)[:24],
    ],
    ids=["empty", "15 bytes", "normal of 23", "sync start of 31", "state of 24"],
)
def test_a_short_message_makes_us_leave(mode: Mode, data: bytes) -> None:
    stage = stage_in(mode)

    assert stage.hears(LOW, data) == [LeaveGroup(for_good=False)]
    assert stage.mode is Mode.LEAVE
    assert "drop_sync" in stage.script.calls


@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_a_newer_protocol_makes_us_leave_for_good(mode: Mode) -> None:
    stage = stage_in(mode)

    assert stage.hears(LOW, normal(1, version=VERSION + 1)) == [LeaveGroup(for_good=True)]
    assert stage.mode is Mode.VERSION_ERROR


@pytest.mark.parametrize("version", [VERSION + 9, 2**32 - 1])
@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_a_version_that_nobody_can_have_reached_is_noise(mode: Mode, version: int) -> None:
    """Random bytes must not keep us out for good."""
    stage = stage_in(mode)

    assert stage.hears(LOW, normal(1, version=version)) == [LeaveGroup(for_good=False)]
    assert stage.mode is Mode.LEAVE

    last = stage_in(mode)
    last.hears(LOW, normal(1, version=VERSION + 8))
    assert last.mode is Mode.VERSION_ERROR


def test_a_newer_protocol_is_recognised_by_the_base_header_alone() -> None:
    stage = stage_in(Mode.SYNCED)

    stage.hears(LOW, normal(1, version=VERSION + 1)[:16])

    assert stage.mode is Mode.VERSION_ERROR


@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_an_older_protocol_is_not_listened_to(mode: Mode) -> None:
    stage = stage_in(mode)

    assert stage.hears(LOW, normal(1, version=VERSION - 1)) == []
    assert stage.hears(LOW, normal(1, version=VERSION - 1)[:16]) == []

    assert stage.mode is mode
    assert stage.script.calls == []


@pytest.mark.parametrize("kind", [kind for kind in MessageType if kind > MessageType.SYNC_START])
@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_a_message_of_another_epoch_is_dropped(mode: Mode, kind: MessageType) -> None:
    stage = stage_in(mode)

    assert stage.hears(LOW, protocol(kind, epoch=OTHER_EPOCH)) == []

    assert stage.mode is mode
    assert stage.script.calls == []


def test_the_application_is_told_the_senders_time_and_ours() -> None:
    stage = stage_in(Mode.SYNCED)

    stage.hears(LOW, normal(1))

    assert stage.script.delivered == [(SUBTYPE, SENT_S, NOW_S)]


def test_nothing_is_heard_while_disconnected() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.machine.disconnect()
    stage.forgets_calls()

    assert stage.hears(LOW, normal(1)) == []
    assert stage.members(LOW) == []

    assert stage.script.calls == []
    assert stage.mode is Mode.START
