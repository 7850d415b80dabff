"""What a node does about a group that does not get on, told of passing time."""

from collections.abc import Sequence
from errno import EACCES, EBUSY, EIO, EPERM

import pytest
from structlog.testing import capture_logs

from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered, Disconnected
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Event, QuorumChanged, Replica
from pmxcfs.waits.ghosts import SILENCE_S_MAX
from pmxcfs.waits.grace import QUORUM_WAIT_S_MAX
from pmxcfs.waits.stalls import OWN_MESSAGE_S_MAX, STALL_S_MAX
from pmxcfs.waits.vigil import NodesNamed, RingSeen, TimePassed

NOW_S = 1_700_000_000
ME, OTHER, HUNG = (Member(NodeId(number), Pid(number * 101)) for number in (1, 2, 3))
NAMES = NodesNamed({NodeId(number): f"node{number}" for number in (1, 2, 3)})
RING = RingSeen(frozenset({ME.node_id, OTHER.node_id}))


class Scene:
    """Node 1 and what it wants done."""

    def __init__(self, *members: Member) -> None:
        self.replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
        self.tickets = 0
        self.effects: list[Effect] = []
        self.see(NAMES, TimePassed(0.5), QuorumChanged(True), Connected(ME))
        self.see(ConfigurationChange(members, joined=members))

    def see(self, *events: Event) -> list[Effect]:
        self.effects = [effect for event in events for effect in self.replica.step(event, NOW_S)]
        return self.effects

    def ask(self, path: bytes) -> list[Effect]:
        self.tickets += 1
        self.effects = self.replica.submit(Ticket(self.tickets), Create(path), NOW_S)
        return self.effects

    def sent(self) -> list[bytes]:
        return [effect.data for effect in self.effects if isinstance(effect, Multicast)]

    def answers(self) -> list[int]:
        return [effect.result for effect in self.effects if isinstance(effect, Answer)]

    def leaves(self) -> bool:
        return LeaveGroup(for_good=False) in self.effects


def waits(seconds: float) -> Sequence[TimePassed]:
    return [TimePassed(0.5)] * round(2 * seconds)


def test_callers_are_refused_once_a_member_keeps_the_group_waiting() -> None:
    scene = Scene(ME, OTHER, HUNG)
    scene.ask(b"early")
    with capture_logs() as lines:
        scene.see(*waits(STALL_S_MAX - 1))
        assert scene.effects == []
        scene.see(*waits(1))
    assert scene.answers() == [-EBUSY]
    assert [line["log_level"] for line in lines] == ["warning"]
    scene.ask(b"late")
    assert scene.answers() == [-EBUSY]
    scene.see(ConfigurationChange((ME,), left=(OTHER, HUNG)))
    scene.ask(b"after")
    assert len(scene.sent()) == 1


def test_who_hangs_is_named_even_if_it_is_we_who_should_start() -> None:
    scene = Scene(ME, HUNG)
    (start,) = scene.sent()
    scene.see(Delivered(ME, start))
    (state,) = scene.sent()
    scene.see(Delivered(ME, state))
    with capture_logs() as lines:
        scene.see(*waits(STALL_S_MAX))
    assert [line["waits_for"] for line in lines] == [["node3 (id 3, pid 303)"]]
    assert not scene.leaves()


def test_a_message_that_does_not_come_back_makes_us_leave() -> None:
    scene = Scene(ME)
    scene.ask(b"a")
    scene.see(*waits(OWN_MESSAGE_S_MAX - 1))
    assert scene.replica.mode is Mode.SYNCED
    scene.see(*waits(1))
    assert scene.leaves()
    assert scene.answers() == [-EIO]
    scene.ask(b"b")
    assert scene.answers() == [-EBUSY]


def test_a_message_that_comes_back_late_is_answered() -> None:
    scene = Scene(ME)
    (message,) = scene.ask(b"a")
    assert isinstance(message, Multicast)
    scene.see(*waits(OWN_MESSAGE_S_MAX - 1), Delivered(ME, message.data))
    assert scene.answers() == [0]


def haunted() -> Scene:
    scene = Scene(ME, OTHER, HUNG)
    scene.see(RING, *waits(SILENCE_S_MAX))
    return scene


def test_a_ghost_makes_us_leave_and_is_left_out_when_we_are_back() -> None:
    scene = haunted()
    assert scene.leaves()
    scene.see(Disconnected(), Connected(ME))
    scene.see(ConfigurationChange((ME, HUNG), joined=(ME,)))
    assert scene.replica.members == (ME,)
    assert scene.replica.mode is Mode.SYNCED


def test_a_ghost_that_speaks_after_all_is_synchronised_with() -> None:
    scene = haunted()
    scene.see(Disconnected(), Connected(ME))
    scene.see(ConfigurationChange((ME, HUNG), joined=(ME,)))
    (start,) = Scene(ME, OTHER).sent()
    scene.see(Delivered(HUNG, start))  # which says nothing to a member in sync
    assert scene.leaves()
    scene.see(Disconnected(), Connected(ME))
    scene.see(ConfigurationChange((ME, HUNG), joined=(ME,)))
    assert scene.replica.members == (ME, HUNG)


def test_a_ghost_makes_us_leave_once() -> None:
    scene = haunted()
    scene.see(*waits(5))
    assert not scene.leaves()


def test_who_is_no_member_yet_has_no_group_to_leave_for_a_ghost() -> None:
    scene = Scene(OTHER, HUNG)
    scene.see(RING, *waits(SILENCE_S_MAX + 5))
    assert scene.replica.mode is Mode.START


def test_whom_we_wait_for_can_be_asked_at_any_time() -> None:
    scene = Scene(HUNG, OTHER)
    found = [scene.replica.culprits]
    scene.see(ConfigurationChange((ME, OTHER, HUNG), joined=(ME,)))
    found.append(scene.replica.culprits)
    scene.see(ConfigurationChange((ME,), left=(OTHER, HUNG)))
    found.append(scene.replica.culprits)
    assert found == [["corosync"], ["node1 (id 1, pid 101)"], []]


def test_newcomers_are_told_from_those_who_left() -> None:
    """What is held is sent again for newcomers."""
    scene = Scene(ME)
    (message,) = scene.ask(b"a")
    assert isinstance(message, Multicast)
    scene.see(ConfigurationChange((ME, OTHER), joined=(OTHER,)))
    scene.see(Delivered(ME, message.data))
    scene.see(ConfigurationChange((ME, OTHER, HUNG), joined=(HUNG,)))
    assert message.data in scene.sent()


def test_a_minority_synchronises_at_once() -> None:
    """Only changes wait for quorum."""
    scene = Scene(ME, OTHER)
    (start,) = scene.sent()
    scene.see(QuorumChanged(False), Delivered(ME, start))
    assert len(scene.sent()) == 1
    (state,) = scene.sent()
    scene.see(Delivered(ME, state), Delivered(OTHER, state))
    assert scene.replica.mode is Mode.SYNCED


def test_a_hanging_member_of_the_ring_is_waited_for() -> None:
    scene = Scene(ME, OTHER, HUNG)
    scene.see(RingSeen(frozenset(NAMES.names)), *waits(10 * SILENCE_S_MAX))
    assert scene.replica.mode is Mode.START_SYNC


@pytest.fixture
def late_quorum() -> Scene:
    """A member that has been delivered a change of its own and is not quorate any more."""
    scene = Scene(ME)
    (message,) = scene.ask(b"a")
    assert isinstance(message, Multicast)
    scene.see(QuorumChanged(False), Delivered(ME, message.data))
    assert scene.answers() == []
    return scene


def test_a_change_that_comes_before_quorum_is_applied_with_it(late_quorum: Scene) -> None:
    late_quorum.see(*waits(QUORUM_WAIT_S_MAX - 0.5))
    assert late_quorum.replica.memdb.tree.find(b"a") is None
    late_quorum.see(QuorumChanged(True))
    assert late_quorum.answers() == [0]
    assert late_quorum.replica.memdb.tree.find(b"a") is not None


def test_without_quorum_it_is_refused_after_the_bound(late_quorum: Scene) -> None:
    late_quorum.see(*waits(QUORUM_WAIT_S_MAX))
    assert late_quorum.answers() == [-EPERM]
    assert late_quorum.leaves()
    assert late_quorum.replica.memdb.tree.find(b"a") is None


def test_new_callers_are_refused_at_once_meanwhile(late_quorum: Scene) -> None:
    late_quorum.ask(b"b")
    assert late_quorum.answers() == [-EACCES]


def test_a_new_configuration_waits_its_turn_behind_the_change(late_quorum: Scene) -> None:
    late_quorum.see(ConfigurationChange((ME, OTHER), joined=(OTHER,)))
    modes = [late_quorum.replica.mode]
    late_quorum.see(QuorumChanged(True))
    assert late_quorum.answers() == [0]
    assert [*modes, late_quorum.replica.mode] == [Mode.SYNCED, Mode.START_SYNC]
