"""The hourly comparison of checksums."""

import pytest

from pmxcfs.dfsm.effects import LeaveGroup, Multicast
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import (
    MessageType,
    decode_state,
    decode_verify,
    decode_verify_request,
    encode_verify,
    encode_verify_request,
)
from tests.unit.dfsm.stage import (
    CHECKSUM,
    EPOCH,
    HIGH,
    LOW,
    ME,
    NOW_S,
    OTHER_EPOCH,
    Stage,
    protocol,
    sent_types,
    stage_in,
)

LEAVES = [LeaveGroup(for_good=False)]


def request(number: int) -> bytes:
    return protocol(MessageType.VERIFY_REQUEST, encode_verify_request(number))


def proof(number: int, checksum: bytes = CHECKSUM) -> bytes:
    return protocol(MessageType.VERIFY, encode_verify(number, checksum))


def lowest_stage() -> Stage:
    stage = Stage()
    stage.members(ME, HIGH, joined=(ME,))
    stage.hears(ME, protocol(MessageType.SYNC_START))
    for member in (ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    assert stage.mode is Mode.SYNCED
    return stage


def due(stage: Stage) -> list[bytes]:
    effects = stage.machine.request_verify(NOW_S)
    return [effect.data for effect in effects if isinstance(effect, Multicast)]


def number_of(data: bytes) -> int:
    header, payload = decode_state(data)
    assert header.type == MessageType.VERIFY_REQUEST
    return decode_verify_request(payload)


def test_the_lowest_node_requests_in_the_epoch_of_the_synchronisation() -> None:
    (data,) = due(lowest_stage())

    assert decode_state(data)[0].epoch == EPOCH
    assert number_of(data) == 1


def test_other_nodes_do_not_request() -> None:
    assert due(stage_in(Mode.SYNCED)) == []


@pytest.mark.parametrize("mode", [Mode.START, Mode.START_SYNC, Mode.UPDATE])
def test_nobody_requests_out_of_sync(mode: Mode) -> None:
    assert due(stage_in(mode)) == []


def test_the_lowest_node_does_not_request_out_of_sync_either() -> None:
    stage = Stage()
    stage.script.synced = frozenset({HIGH})
    found = [(stage.mode, due(stage))]
    stage.members(ME, HIGH, joined=(ME,))
    found.append((stage.mode, due(stage)))
    stage.hears(ME, protocol(MessageType.SYNC_START))
    for member in (ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    found.append((stage.mode, due(stage)))
    stage.machine.leave()
    found.append((stage.mode, due(stage)))
    assert found == [
        (Mode.START, []),
        (Mode.START_SYNC, []),
        (Mode.UPDATE, []),
        (Mode.LEAVE, []),
    ]


def test_a_request_waits_until_the_last_one_came_back() -> None:
    stage = lowest_stage()
    (data,) = due(stage)
    assert due(stage) == []

    stage.hears(ME, data)

    assert [number_of(data) for data in due(stage)] == [2]


def test_requests_are_numbered_for_the_life_of_the_process() -> None:
    stage = lowest_stage()
    (data,) = due(stage)
    stage.hears(ME, data)
    stage.machine.disconnect()
    stage.machine.connect(ME)
    stage.members(ME)
    assert [number_of(data) for data in due(stage)] == [2]


def test_a_request_lost_in_a_configuration_change_is_not_waited_for() -> None:
    stage = lowest_stage()
    due(stage)
    stage.members(ME)

    assert [number_of(data) for data in due(stage)] == [2]


def test_the_requester_tells_its_checksum_of_when_the_request_came_back() -> None:
    stage = lowest_stage()
    (data,) = due(stage)
    stage.script.own_checksum = b"n" * 32

    (effect,) = stage.hears(ME, data)

    assert isinstance(effect, Multicast)
    assert decode_verify(decode_state(effect.data)[1]) == (1, b"n" * 32)


def test_a_member_alone_verifies_itself() -> None:
    stage = Stage()
    stage.members(ME, joined=(ME,))
    (data,) = due(stage)
    (effect,) = stage.hears(ME, data)
    assert isinstance(effect, Multicast)

    assert stage.hears(ME, effect.data) == []
    assert stage.mode is Mode.SYNCED


def test_an_equal_checksum_changes_nothing() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.hears(LOW, request(4))

    assert stage.hears(LOW, proof(4)) == []
    assert stage.mode is Mode.SYNCED


def test_a_member_whose_checksum_differs_leaves() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.hears(LOW, request(4))

    assert stage.hears(LOW, proof(4, b"d" * 32)) == LEAVES
    assert stage.mode is Mode.LEAVE


def test_the_checksum_of_when_the_request_came_is_compared() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.hears(LOW, request(4))
    stage.script.own_checksum = b"later" * 6 + b"!!"

    assert stage.hears(LOW, proof(4)) == []


def test_the_proof_of_another_request_is_skipped() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.hears(LOW, request(5))

    assert stage.hears(LOW, proof(4, b"d" * 32)) == []
    assert stage.mode is Mode.SYNCED


def test_a_proof_is_skipped_after_a_configuration_change() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.hears(LOW, request(0))
    stage.members(LOW, ME)
    stage.hears(LOW, protocol(MessageType.SYNC_START, epoch=EPOCH))
    for member in (LOW, ME):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    assert stage.mode is Mode.SYNCED

    assert stage.hears(LOW, proof(0, b"d" * 32)) == []
    assert stage.mode is Mode.SYNCED


@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_request_of_a_wrong_size_makes_us_leave(size: int) -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.hears(LOW, protocol(MessageType.VERIFY_REQUEST, bytes(size))) == LEAVES


@pytest.mark.parametrize("size", [0, 8, 39, 41])
def test_a_proof_of_a_wrong_size_makes_us_leave(size: int) -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.hears(LOW, protocol(MessageType.VERIFY, bytes(size))) == LEAVES


def test_a_group_that_does_not_verify_answers_no_request() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.script.own_checksum = None

    assert stage.hears(ME, request(1)) == []
    assert stage.hears(LOW, proof(1)) == []
    assert stage.mode is Mode.SYNCED


def test_a_request_of_another_epoch_takes_no_checksum() -> None:
    stage = stage_in(Mode.SYNCED)
    data = protocol(MessageType.VERIFY_REQUEST, encode_verify_request(1), OTHER_EPOCH)

    assert sent_types(stage.hears(ME, data)) == []
    assert stage.script.calls == []
