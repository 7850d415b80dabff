"""Every row of the table of modes and message types."""

from dataclasses import dataclass

import pytest

from pmxcfs.dfsm.effects import LeaveGroup
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.transitions import Step, step_for
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.identity import Member
from tests.unit.dfsm.stage import (
    CHECKSUM,
    EPOCH,
    HIGH,
    LOW,
    ME,
    OTHER_EPOCH,
    STRANGER,
    normal,
    protocol,
    sent_types,
    stage_in,
)

START, START_SYNC, SYNCED, UPDATE, LEAVE = (
    Mode.START,
    Mode.START_SYNC,
    Mode.SYNCED,
    Mode.UPDATE,
    Mode.LEAVE,
)
REQUEST = bytes(8)
CHECKSUM_OF_REQUEST = bytes(8) + CHECKSUM
UNKNOWN_TYPE = 7


@dataclass(frozen=True)
class Row:
    """In ``mode``, ``sender`` says ``data``: the application is asked ``calls``, then ``mode``."""

    claim: str
    mode: Mode
    sender: Member
    data: bytes
    calls: list[str]
    then: Mode
    sent: tuple[int, ...] = ()


ROWS = [
    Row("START holds a member's message", START, LOW, normal(1), [], START),
    Row("START leaves at a stranger's", START, STRANGER, normal(1), ["drop_sync"], LEAVE),
    Row(
        "START leaves at SYNC_START",
        START,
        LOW,
        protocol(MessageType.SYNC_START),
        ["drop_sync"],
        LEAVE,
    ),
    Row("START_SYNC holds a member's message", START_SYNC, HIGH, normal(1), [], START_SYNC),
    Row("START_SYNC leaves at a stranger's", START_SYNC, STRANGER, normal(1), ["drop_sync"], LEAVE),
    Row(
        "START_SYNC answers SYNC_START with STATE",
        START_SYNC,
        LOW,
        protocol(MessageType.SYNC_START),
        ["state"],
        START_SYNC,
        (MessageType.STATE,),
    ),
    Row(
        "START_SYNC answers a SYNC_START of somebody else too",
        START_SYNC,
        HIGH,
        protocol(MessageType.SYNC_START),
        ["state"],
        START_SYNC,
        (MessageType.STATE,),
    ),
    Row(
        "START_SYNC keeps a STATE",
        START_SYNC,
        HIGH,
        protocol(MessageType.STATE, b"s"),
        [],
        START_SYNC,
    ),
    Row(
        "START_SYNC leaves at a stranger's STATE",
        START_SYNC,
        STRANGER,
        protocol(MessageType.STATE, b"s"),
        ["drop_sync"],
        LEAVE,
    ),
    Row(
        "START_SYNC ignores VERIFY_REQUEST",
        START_SYNC,
        LOW,
        protocol(MessageType.VERIFY_REQUEST, REQUEST),
        [],
        START_SYNC,
    ),
    Row(
        "START_SYNC ignores VERIFY",
        START_SYNC,
        LOW,
        protocol(MessageType.VERIFY, CHECKSUM_OF_REQUEST),
        [],
        START_SYNC,
    ),
    *(
        Row(
            f"START_SYNC leaves at type {kind}",
            START_SYNC,
            LOW,
            protocol(kind),
            ["drop_sync"],
            LEAVE,
        )
        for kind in (MessageType.UPDATE, MessageType.UPDATE_COMPLETE, UNKNOWN_TYPE)
    ),
    Row("UPDATE keeps a synced member's message", UPDATE, LOW, normal(1), [], UPDATE),
    Row("UPDATE keeps another member's message", UPDATE, HIGH, normal(1), [], UPDATE),
    Row("UPDATE leaves at a stranger's", UPDATE, STRANGER, normal(1), ["drop_sync"], LEAVE),
    Row(
        "UPDATE collects UPDATE",
        UPDATE,
        LOW,
        protocol(MessageType.UPDATE, b"item"),
        ["collect_update item"],
        UPDATE,
    ),
    Row(
        "UPDATE commits at UPDATE_COMPLETE",
        UPDATE,
        LOW,
        protocol(MessageType.UPDATE_COMPLETE),
        ["commit", "on_synced", "drop_sync"],
        SYNCED,
    ),
    Row(
        "UPDATE ignores VERIFY_REQUEST",
        UPDATE,
        LOW,
        protocol(MessageType.VERIFY_REQUEST, REQUEST),
        [],
        UPDATE,
    ),
    Row(
        "UPDATE ignores VERIFY",
        UPDATE,
        LOW,
        protocol(MessageType.VERIFY, CHECKSUM_OF_REQUEST),
        [],
        UPDATE,
    ),
    *(
        Row(f"UPDATE leaves at type {kind}", UPDATE, LOW, protocol(kind), ["drop_sync"], LEAVE)
        for kind in (MessageType.SYNC_START, MessageType.STATE, UNKNOWN_TYPE)
    ),
    Row("SYNCED applies a member's message", SYNCED, LOW, normal(1), ["deliver 1:x"], SYNCED),
    Row("SYNCED applies a stranger's", SYNCED, STRANGER, normal(1), ["deliver 9:x"], SYNCED),
    Row(
        "SYNCED goes on at UPDATE_COMPLETE",
        SYNCED,
        LOW,
        protocol(MessageType.UPDATE_COMPLETE),
        [],
        SYNCED,
    ),
    Row(
        "SYNCED takes the checksum at VERIFY_REQUEST",
        SYNCED,
        LOW,
        protocol(MessageType.VERIFY_REQUEST, REQUEST),
        ["checksum"],
        SYNCED,
    ),
    Row(
        "SYNCED answers its own VERIFY_REQUEST",
        SYNCED,
        ME,
        protocol(MessageType.VERIFY_REQUEST, REQUEST),
        ["checksum"],
        SYNCED,
        (MessageType.VERIFY,),
    ),
    Row(
        "SYNCED skips a VERIFY of no request",
        SYNCED,
        LOW,
        protocol(MessageType.VERIFY, CHECKSUM_OF_REQUEST),
        [],
        SYNCED,
    ),
    *(
        Row(f"SYNCED ignores type {kind}", SYNCED, LOW, protocol(kind), [], SYNCED)
        for kind in (
            MessageType.SYNC_START,
            MessageType.STATE,
            MessageType.UPDATE,
            UNKNOWN_TYPE,
        )
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_message_in_mode(row: Row) -> None:
    stage = stage_in(row.mode)

    effects = stage.hears(row.sender, row.data)

    assert stage.script.calls == row.calls
    assert stage.mode is row.then
    assert tuple(sent_types(effects)) == row.sent
    assert (LeaveGroup(for_good=False) in effects) == (row.then is LEAVE)


@pytest.mark.parametrize("kind", [*(kind for kind in MessageType if kind), UNKNOWN_TYPE])
def test_start_leaves_at_any_message_of_its_epoch(kind: int) -> None:
    stage = stage_in(Mode.START)
    own_epoch = stage.machine.epoch
    assert own_epoch is not None

    stage.hears(LOW, protocol(kind, epoch=own_epoch))

    assert stage.mode is LEAVE


@pytest.mark.parametrize("kind", list(MessageType))
@pytest.mark.parametrize("mode", [Mode.START, Mode.START_SYNC, Mode.SYNCED, Mode.UPDATE])
def test_every_known_message_has_a_step_in_every_mode(mode: Mode, kind: MessageType) -> None:
    assert isinstance(step_for(mode, kind), Step)


def test_sync_start_in_synced_does_not_change_the_epoch() -> None:
    stage = stage_in(Mode.SYNCED)

    stage.hears(LOW, protocol(MessageType.SYNC_START, epoch=OTHER_EPOCH))

    assert stage.machine.epoch == EPOCH
