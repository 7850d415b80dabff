"""What a configuration change sets in motion."""

import pytest

from pmxcfs.dfsm.effects import LeaveGroup, Multicast
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import Epoch, MessageType, decode_state
from pmxcfs.identity import Member, Pid
from tests.unit.dfsm.stage import (
    HIGH,
    LOW,
    ME,
    NOW_S,
    Said,
    Script,
    Stage,
    normal,
    protocol,
    sent_types,
    stage_in,
)


def test_a_member_alone_is_in_sync_at_once_and_sends_nothing() -> None:
    stage = Stage()

    assert stage.members(ME, joined=(ME,)) == []

    assert stage.mode is Mode.SYNCED
    assert stage.machine.is_member
    assert stage.script.calls == ["drop_sync", "on_synced", "on_members 2"]


def test_a_member_left_alone_stays_in_sync_and_is_told_nothing_new() -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.members(ME) == []

    assert stage.mode is Mode.SYNCED
    assert stage.script.calls == ["drop_sync", "on_members 2"]


def test_the_lowest_node_starts_the_synchronisation_in_an_epoch_of_its_own() -> None:
    stage = Stage()

    (effect,) = stage.members(ME, HIGH, joined=(ME,))

    assert isinstance(effect, Multicast)
    header, payload = decode_state(effect.data)
    assert (header.type, payload) == (MessageType.SYNC_START, b"")
    assert header.epoch == stage.machine.epoch == Epoch(1, NOW_S, ME)
    assert stage.mode is Mode.START_SYNC
    assert stage.script.calls == ["drop_sync", "on_members 2 3"]


def test_another_node_waits_for_the_lowest() -> None:
    stage = Stage()

    assert stage.members(LOW, ME, joined=(ME,)) == []

    assert stage.mode is Mode.START_SYNC
    assert stage.machine.lowest_node_id == LOW.node_id


def test_two_processes_of_the_lowest_node_both_start() -> None:
    stage = Stage()

    effects = stage.members(ME, Member(ME.node_id, Pid(23)))

    assert sent_types(effects) == [MessageType.SYNC_START]


def test_every_change_opens_an_epoch_also_across_rejoins() -> None:
    stage = Stage()
    stage.members(ME)
    stage.members(ME, HIGH)
    stage.machine.leave()
    stage.members(HIGH)
    stage.machine.disconnect()
    stage.machine.connect(ME)
    stage.members(ME, HIGH)

    assert stage.machine.epoch == Epoch(4, NOW_S, ME)


def test_not_being_listed_is_late_news_while_connecting() -> None:
    stage = Stage()

    assert stage.members(LOW, HIGH) == []

    assert stage.mode is Mode.START
    assert not stage.machine.is_member
    assert stage.script.calls == ["drop_sync"]


def test_not_being_listed_later_makes_us_leave() -> None:
    stage = stage_in(Mode.SYNCED)

    assert stage.members(LOW, HIGH) == [LeaveGroup(for_good=False)]

    assert stage.mode is Mode.LEAVE
    assert not stage.machine.is_member


def test_an_error_mode_only_notes_that_we_are_no_member() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.machine.fail()
    stage.forgets_calls()

    assert stage.members(LOW, ME, HIGH) == []

    assert stage.mode is Mode.ERROR
    assert not stage.machine.is_member
    assert stage.script.calls == []


def test_a_change_interrupts_an_update_and_drops_what_was_to_follow_it() -> None:
    stage = stage_in(Mode.UPDATE)
    stage.hears(LOW, protocol(MessageType.UPDATE, b"item"))
    stage.hears(LOW, normal(1, b"follows"))

    stage.members(LOW, ME)
    stage.hears(LOW, protocol(MessageType.SYNC_START))
    stage.hears(LOW, protocol(MessageType.STATE, b"s"))
    stage.hears(ME, protocol(MessageType.STATE, b"s"))
    stage.hears(LOW, protocol(MessageType.UPDATE_COMPLETE))

    assert stage.mode is Mode.SYNCED
    assert "deliver 1:follows" not in stage.script.calls


def test_only_members_of_the_new_configuration_must_send_a_state() -> None:
    stage = stage_in(Mode.SYNCED)
    assert stage.machine.awaiting == frozenset()

    stage.members(LOW, ME)
    assert stage.machine.awaiting == {LOW, ME}

    stage.hears(LOW, protocol(MessageType.SYNC_START))
    stage.hears(LOW, protocol(MessageType.STATE, b"s"))
    assert stage.machine.awaiting == {ME}

    stage.hears(ME, protocol(MessageType.STATE, b"s"))
    assert stage.machine.awaiting == frozenset()
    assert stage.mode is Mode.SYNCED


def test_the_news_of_members_reaches_the_application_after_the_mode() -> None:
    stage = Stage()
    stage.script.effects["on_synced"] = (Said("synced"),)
    stage.script.effects["on_members"] = (Said("members"),)

    assert stage.members(ME) == [Said("synced"), Said("members")]


def test_a_machine_that_was_never_connected_is_in_no_group() -> None:
    machine = Machine(Script(), protocol_version=1, domain="dcdb")

    assert machine.mode is Mode.START
    assert (machine.me, machine.is_member, machine.members) == (None, False, frozenset())
    assert (machine.lowest_node_id, machine.epoch) == (None, None)


def test_nobody_waits_for_states_out_of_a_synchronisation() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(LOW, protocol(MessageType.STATE, b"s"))
    assert stage.machine.awaiting == {ME, HIGH}

    stage.machine.leave()
    assert stage.machine.awaiting == frozenset()


@pytest.mark.parametrize("call", ["connect", "disconnect"])
def test_what_belongs_to_a_synchronisation_goes_with_the_connection(call: str) -> None:
    stage = stage_in(Mode.UPDATE)
    stage.machine.disconnect() if call == "disconnect" else stage.machine.connect(ME)

    assert stage.script.calls == ["drop_sync"]


def test_connect_begins_anew() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.machine.leave()
    stage.machine.disconnect()
    assert stage.machine.me is None

    assert stage.machine.connect(ME) == []

    assert stage.mode is Mode.START
    assert stage.machine.me == ME
    assert stage.machine.members == frozenset()
    assert stage.machine.lowest_node_id is None
    assert stage.machine.epoch is None


def test_an_error_mode_outlasts_the_connection() -> None:
    stage = stage_in(Mode.SYNCED)
    stage.machine.leave()

    stage.machine.disconnect()

    assert stage.mode is Mode.LEAVE


def test_a_lost_connection_ends_the_membership() -> None:
    stage = stage_in(Mode.SYNCED)

    stage.machine.disconnect()

    assert stage.mode is Mode.START
    assert not stage.machine.is_member


def test_who_left_for_good_does_not_come_back() -> None:
    stage = stage_in(Mode.SYNCED)
    assert stage.machine.fail() == [LeaveGroup(for_good=True)]
    stage.machine.disconnect()

    assert stage.machine.connect(ME) == [LeaveGroup(for_good=True)]

    assert stage.mode is Mode.ERROR
