"""What a member says it waits for, in every mode; and that what it holds back is bounded."""

import pytest

from pmxcfs.dfsm import delivery
from pmxcfs.dfsm.effects import LeaveGroup
from pmxcfs.dfsm.events import ConfigurationChange, Delivered, Disconnected, GroupEvent
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.waiting import Wait, WaitKind
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.identity import Member, NodeId, Pid
from tests.unit.dfsm.stage import (
    HIGH,
    LOW,
    ME,
    OTHER_EPOCH,
    Said,
    Stage,
    normal,
    protocol,
    stage_in,
)

UPDATE = protocol(MessageType.UPDATE, b"u")


def wait_of(stage: Stage) -> Wait:
    wait = stage.machine.waits_for
    assert wait is not None
    return wait


def test_nothing_is_waited_for_in_sync_and_after_the_end() -> None:
    stage = stage_in(Mode.SYNCED)
    assert stage.machine.waits_for is None
    stage.machine.fail()
    assert stage.machine.waits_for is None


def test_before_and_after_membership_it_is_corosync() -> None:
    stage = Stage()
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.MEMBERSHIP, ())
    stage = stage_in(Mode.SYNCED)
    stage.machine.leave()
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.DEPARTURE, ())
    stage.machine.disconnect()
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.RETURN, ())


def test_each_event_that_moves_us_makes_another_wait() -> None:
    stage = Stage()
    waits = [wait_of(stage)]
    stage.machine.disconnect()
    stage.machine.connect(ME)
    waits.append(wait_of(stage))
    for members in ((LOW, HIGH), (LOW, ME, HIGH), (LOW, ME, HIGH)):
        stage.members(*members)
        waits.append(wait_of(stage))
    for sender, kind in ((LOW, MessageType.SYNC_START), (HIGH, MessageType.STATE)):
        stage.hears(sender, protocol(kind, b"s"))
        waits.append(wait_of(stage))
    stage.machine.leave()
    stage.members(LOW, ME, HIGH)
    waits.append(wait_of(stage))
    assert waits == [
        Wait(WaitKind.MEMBERSHIP, (), 1),
        Wait(WaitKind.MEMBERSHIP, (), 2),
        Wait(WaitKind.MEMBERSHIP, (), 3),
        Wait(WaitKind.START, (LOW,), 4),
        Wait(WaitKind.START, (LOW,), 5),
        Wait(WaitKind.STATES, (LOW, ME, HIGH), 6),
        Wait(WaitKind.STATES, (LOW, ME), 7),
        Wait(WaitKind.DEPARTURE, (), 8),
    ]


def test_members_are_named_in_their_order() -> None:
    lowest = [Member(NodeId(1), Pid(pid)) for pid in range(40, 10, -3)]
    others = [Member(NodeId(node), Pid(1)) for node in range(40, 3, -3)]
    stage = Stage()
    stage.members(*others, *lowest, ME)
    assert wait_of(stage).members == tuple(sorted(lowest))
    stage.hears(lowest[0], protocol(MessageType.SYNC_START))
    assert wait_of(stage).members == tuple(sorted([*lowest, ME, *others]))


def test_nobody_is_named_where_nobody_leads() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.script.synced = frozenset()
    for member in (LOW, ME, HIGH):
        stage.hears(member, protocol(MessageType.STATE, b"s"))
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.UPDATES, ())


def test_what_is_held_is_not_applied_after_an_error() -> None:
    stage = stage_in(Mode.START_SYNC)
    stage.hears(LOW, normal(1))
    event = Delivered(LOW, protocol(MessageType.STATE, b"s"))
    assert stage.machine.may_apply(event)
    stage.machine.leave()
    assert not stage.machine.may_apply(event)


def test_until_the_lowest_node_starts_it_is_the_lowest_node() -> None:
    stage = Stage()
    stage.members(LOW, ME, HIGH, joined=(ME,))
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.START, (LOW,))


def test_then_it_is_those_whose_state_is_missing() -> None:
    stage = stage_in(Mode.START_SYNC)
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.STATES, (LOW, ME, HIGH))
    stage.hears(ME, protocol(MessageType.STATE, b"s"))
    assert wait_of(stage).members == (LOW, HIGH)


def test_while_we_are_updated_it_is_the_leader() -> None:
    stage = stage_in(Mode.UPDATE)
    assert (wait_of(stage).kind, wait_of(stage).members) == (WaitKind.UPDATES, (LOW,))


def test_in_sync_it_is_the_oldest_message_that_a_caller_waits_for() -> None:
    stage = stage_in(Mode.SYNCED)
    first = stage.sends(b"1", ticket=1)
    before = wait_of(stage)
    stage.sends(b"2", ticket=2)
    assert wait_of(stage) == before
    assert before.kind is WaitKind.OWN_MESSAGE
    stage.hears(ME, first)
    assert wait_of(stage) != before


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Delivered(LOW, UPDATE), id="update"),
        pytest.param(ConfigurationChange((LOW, ME, HIGH)), id="configuration"),
    ],
)
def test_what_belongs_to_the_synchronisation_is_progress(event: GroupEvent) -> None:
    stage = stage_in(Mode.UPDATE)
    before = wait_of(stage)
    _feed(stage, event)
    assert wait_of(stage) != before


@pytest.mark.parametrize("data", [normal(1), protocol(MessageType.STATE, epoch=OTHER_EPOCH)])
def test_anything_else_is_not(data: bytes) -> None:
    stage = stage_in(Mode.UPDATE)
    before = wait_of(stage)
    stage.hears(LOW, data)
    assert wait_of(stage) == before


@pytest.mark.parametrize(
    ("mode", "event", "expected"),
    [
        (Mode.SYNCED, Delivered(LOW, normal(1)), True),
        (Mode.START_SYNC, Delivered(LOW, normal(1)), False),
        (Mode.UPDATE, Delivered(LOW, protocol(MessageType.UPDATE_COMPLETE)), False),
        (Mode.SYNCED, ConfigurationChange((ME,)), False),
        (Mode.SYNCED, Disconnected(), False),
    ],
)
def test_an_application_message_in_sync_may_be_applied(
    mode: Mode, event: GroupEvent, expected: bool
) -> None:
    assert stage_in(mode).machine.may_apply(event) is expected


@pytest.mark.parametrize(
    ("mode", "sender", "event"),
    [
        (Mode.START_SYNC, LOW, ConfigurationChange((ME,))),
        (Mode.START_SYNC, LOW, Delivered(LOW, protocol(MessageType.STATE, b"s"))),
        (Mode.UPDATE, LOW, Delivered(LOW, protocol(MessageType.UPDATE_COMPLETE))),
        (Mode.UPDATE, HIGH, Delivered(LOW, protocol(MessageType.UPDATE_COMPLETE))),
    ],
)
def test_with_messages_held_whatever_ends_a_synchronisation_may_apply_them(
    mode: Mode, sender: Member, event: GroupEvent
) -> None:
    stage = stage_in(mode)
    stage.hears(sender, normal(1))
    assert stage.machine.may_apply(event)


@pytest.mark.parametrize(("mode", "sender"), [(Mode.START_SYNC, HIGH), (Mode.UPDATE, LOW)])
def test_who_would_have_to_hold_back_too_much_leaves(
    mode: Mode, sender: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "HELD_BYTES_MAX", 10_000)
    stage = stage_in(mode)
    data = normal(1, b"x" * 3000)
    for _ in range(3):
        assert stage.hears(sender, data) == []
    assert stage.hears(sender, data) == [LeaveGroup(for_good=False)]


def test_what_was_delivered_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "HELD_BYTES_MAX", 10_000)
    stage = stage_in(Mode.UPDATE)
    for _ in range(4):
        for sender in (LOW, HIGH):
            stage.hears(sender, normal(1, b"x" * 3000))
        stage.hears(LOW, protocol(MessageType.UPDATE_COMPLETE))
        modes = [stage.mode]
        stage.members(LOW, ME, HIGH)
        stage.hears(LOW, protocol(MessageType.SYNC_START))
        for member in (LOW, ME, HIGH):
            stage.hears(member, protocol(MessageType.STATE, b"s"))
        assert [*modes, stage.mode] == [Mode.SYNCED, Mode.UPDATE]


def _feed(stage: Stage, event: GroupEvent) -> None:
    match event:
        case Delivered(sender, data):
            stage.hears(sender, data)
        case ConfigurationChange(members):
            stage.members(*members)


@pytest.mark.parametrize("mode", [Mode.SYNCED, Mode.UPDATE])
def test_the_end_of_the_updates_is_when_everybody_agrees(mode: Mode) -> None:
    stage = stage_in(mode)
    stage.script.effects["on_agreed"] = (Said("agreed"),)
    assert stage.hears(LOW, protocol(MessageType.UPDATE_COMPLETE)) == [Said("agreed")]
