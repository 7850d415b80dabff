"""The simulated group keeps the promises that real corosync keeps, whatever happens to it."""

import random
from collections import defaultdict
from itertools import count

import pytest

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.identity import Member, NodeId, Pid
from tests.contract.cpg_contract import check_contract
from tests.sim.cpg import CpgEvent, SimulatedCpg

ONE, TWO, THREE = (Member(NodeId(number), Pid(100 + number)) for number in (1, 2, 3))
NODES = [member.node_id for member in (ONE, TWO, THREE)]


class Recorder:
    """A group in which every member writes down what it hears."""

    def __init__(self, nodes: list[NodeId]) -> None:
        self.cpg = SimulatedCpg()
        self.present: dict[NodeId, Member] = {}
        self.logs: dict[Member, list[CpgEvent]] = {}
        self.sent: dict[Member, list[bytes]] = defaultdict(list)
        self.killed: set[Member] = set()
        self._pids = count(100)
        self._texts = count()
        for node_id in nodes:
            self.cpg.start_node(node_id)
        self.cpg.reform([nodes])

    def join(self, member: Member) -> None:
        self.present[member.node_id] = member
        self.logs[member] = []
        self.cpg.join(member)

    def send(self, member: Member, data: bytes) -> None:
        if self.cpg.multicast(member, data):
            self.sent[member].append(data)

    def read(self, node_id: NodeId) -> bool:
        event = self.cpg.deliver(node_id)
        if event is None:
            return False
        member = self.present[node_id]
        self.logs[member].append(event)
        if isinstance(event, ConfigurationChange) and member not in event.members:
            del self.present[node_id]
        return True

    def read_all(self) -> None:
        while any(self.read(node_id) for node_id in list(self.present)):
            pass

    def kill(self, member: Member) -> None:
        self.cpg.kill(member)
        self.killed.add(member)
        del self.present[member.node_id]

    def check(self, *, is_settled: bool) -> None:
        """Check all logs; once settled, those that were not cut short by a death."""
        cut_short = self.killed if is_settled else set()
        logs = {member: log for member, log in self.logs.items() if member not in cut_short}
        check_contract(logs, self.sent, is_settled=is_settled)

    def act(self, rng: random.Random) -> None:
        node_id = rng.choice(self.cpg.nodes)
        member = self.present.get(node_id)
        acts = {
            "send": 9,
            "read": 25,
            "split": 2,
            "come": 3,
            "leave": 1,
            "kill": 1,
            "busy": 1,
            "free": 2,
        }
        match rng.choices([*acts], [*acts.values()]):
            case ["send"] if member is not None:
                self.send(member, b"%d" % next(self._texts))
            case ["read"]:
                self.read(node_id)
            case ["split"]:
                sides = defaultdict(list)
                for node in self.cpg.nodes:
                    sides[rng.randrange(3)].append(node)
                self.cpg.reform(list(sides.values()), keep=rng.randrange(4))
            case ["come"] if member is None:
                self.join(Member(node_id, Pid(next(self._pids))))
            case ["leave"] if member is not None:
                self.cpg.leave(member)
            case ["busy" | "free" as act]:
                self.cpg.set_busy(node_id, is_busy=act == "busy")
            case ["kill"] if member is not None:
                self.kill(member)


@pytest.fixture
def group() -> Recorder:
    recorder = Recorder(NODES)
    for member in (ONE, TWO, THREE):
        recorder.join(member)
    recorder.read_all()
    return recorder


def test_a_message_reaches_all_members_once(group: Recorder) -> None:
    group.send(ONE, b"hello")
    group.read_all()
    assert [log[-1] for log in group.logs.values()] == [Delivered(ONE, b"hello")] * 3
    group.check(is_settled=True)


def test_after_a_split_each_side_is_told_who_left(group: Recorder) -> None:
    group.cpg.reform([NODES[:1], NODES[1:]])
    group.read_all()
    assert group.logs[ONE][-1] == ConfigurationChange((ONE,), left=(TWO, THREE))
    assert group.logs[TWO][-1] == ConfigurationChange((TWO, THREE), left=(ONE,))
    group.check(is_settled=True)


def test_when_rings_merge_each_side_lists_only_the_other_as_joined(group: Recorder) -> None:
    group.cpg.reform([NODES[:1], NODES[1:]])
    group.cpg.reform([NODES])
    group.read_all()
    everybody = (ONE, TWO, THREE)
    assert group.logs[ONE][-1] == ConfigurationChange(everybody, joined=(TWO, THREE))
    assert group.logs[THREE][-1] == ConfigurationChange(everybody, joined=(ONE,))


def test_leavers_and_joiners_come_in_separate_changes(group: Recorder) -> None:
    group.cpg.reform([NODES[:1], NODES[1:]])
    group.cpg.reform([NODES[:2], NODES[2:]])
    group.read_all()
    assert group.logs[TWO][-2:] == [
        ConfigurationChange((TWO,), left=(THREE,)),
        ConfigurationChange((ONE, TWO), joined=(ONE,)),
    ]


def test_what_one_staying_member_has_read_the_other_reads_too(group: Recorder) -> None:
    group.send(ONE, b"first")
    group.send(ONE, b"second")
    group.read(TWO.node_id)
    group.cpg.reform([NODES[:1], NODES[1:]], keep=0)
    group.read_all()
    heard = [event.data for event in group.logs[THREE] if isinstance(event, Delivered)]
    assert heard == [b"first"], "the second message was lost with its sender"
    group.check(is_settled=True)


def test_a_sender_hears_its_own_message_even_when_cut_off(group: Recorder) -> None:
    group.send(TWO, b"from two")
    group.send(ONE, b"from one")
    group.cpg.reform([NODES[:1], NODES[1:]], keep=0)
    group.read_all()
    heard = [event.data for event in group.logs[ONE] if isinstance(event, Delivered)]
    assert heard == [b"from one"], "what the other side sent is lost, what we sent is not"
    group.check(is_settled=True)


def test_what_a_process_sent_before_it_died_is_still_delivered(group: Recorder) -> None:
    group.send(ONE, b"last words")
    group.kill(ONE)
    group.read_all()
    assert group.logs[TWO][-2:] == [
        Delivered(ONE, b"last words"),
        ConfigurationChange((TWO, THREE), left=(ONE,)),
    ]


def test_who_leaves_hears_up_to_the_change_without_it_and_no_more(group: Recorder) -> None:
    group.cpg.leave(ONE)
    group.send(ONE, b"too late")
    group.send(TWO, b"not for one")
    group.read_all()
    assert group.logs[ONE][-1] == ConfigurationChange((TWO, THREE), left=(ONE,))
    assert group.logs[TWO][-1] == Delivered(TWO, b"not for one")
    group.check(is_settled=True)


def test_what_corosync_is_too_busy_to_take_comes_later_once_and_in_order(group: Recorder) -> None:
    group.cpg.set_busy(ONE.node_id, is_busy=True)
    group.send(ONE, b"first")
    group.send(ONE, b"second")
    group.send(TWO, b"beside")
    group.read_all()
    assert group.logs[ONE][-1] == Delivered(TWO, b"beside"), "who is busy keeps nobody waiting"
    group.cpg.set_busy(ONE.node_id, is_busy=False)
    group.read_all()
    for log in group.logs.values():
        assert log[-2:] == [Delivered(ONE, b"first"), Delivered(ONE, b"second")]
    group.check(is_settled=True)


def test_what_waits_goes_out_behind_a_change_that_its_sender_has_read(group: Recorder) -> None:
    group.cpg.set_busy(ONE.node_id, is_busy=True)
    group.send(ONE, b"waits")
    group.cpg.reform([NODES[:2], NODES[2:]])
    group.read_all()
    group.cpg.set_busy(ONE.node_id, is_busy=False)
    group.read_all()
    assert group.logs[TWO][-2:] == [
        ConfigurationChange((ONE, TWO), left=(THREE,)),
        Delivered(ONE, b"waits"),
    ]
    assert Delivered(ONE, b"waits") not in group.logs[THREE]
    group.check(is_settled=True)


def test_who_leaves_takes_what_waits_with_it(group: Recorder) -> None:
    group.cpg.set_busy(ONE.node_id, is_busy=True)
    assert group.cpg.multicast(ONE, b"never sent")
    group.cpg.leave(ONE)
    group.cpg.set_busy(ONE.node_id, is_busy=False)
    group.read_all()
    assert not [event for event in group.logs[TWO] if isinstance(event, Delivered)]


def test_who_leaves_and_comes_back_is_told_all_from_then_on_and_nothing_of_between(
    group: Recorder,
) -> None:
    group.cpg.leave(ONE)
    group.read_all()
    group.send(TWO, b"between")
    group.read_all()
    group.cpg.join(ONE)
    group.present[ONE.node_id] = ONE
    group.send(ONE, b"again")
    group.read_all()
    assert group.logs[ONE][-3:] == [
        ConfigurationChange((TWO, THREE), left=(ONE,)),
        ConfigurationChange((ONE, TWO, THREE), joined=(ONE,)),
        Delivered(ONE, b"again"),
    ]
    group.check(is_settled=True)


@pytest.mark.parametrize("seed", range(40))
def test_the_contract_holds_in_a_random_run(seed: int) -> None:
    rng = random.Random(seed)
    group = Recorder([NodeId(number) for number in range(1, 3 + seed % 3)])
    for _ in range(300):
        group.act(rng)
    group.check(is_settled=False)
    for node_id in group.cpg.nodes:
        group.cpg.set_busy(node_id, is_busy=False)
    group.read_all()
    group.check(is_settled=True)
