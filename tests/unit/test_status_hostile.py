"""Nonsense in the status group: who leaves for it says why, and is back and in sync afterwards."""

import random

import pytest
from structlog.testing import capture_logs

from pmxcfs.dfsm.effects import Effect, LeaveGroup
from pmxcfs.dfsm.events import Connected, Delivered, Disconnected
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import Member
from tests.sim.test_hostile import nonsense
from tests.unit.test_status_node import NOW_S, ONE, THREE, TWO, GroupInMemory

MEMBERS = (ONE, TWO, THREE)


class ForgivingGroup(GroupInMemory):
    """Lets everybody come back who leaves; one that left for good as a new process."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[tuple[Member, bool]] = []
        self.left_count = 0

    def perform(self, sender: Member, effects: list[Effect]) -> None:
        leaving = [effect for effect in effects if isinstance(effect, LeaveGroup)]
        self.left += [(sender, effect.for_good) for effect in leaving]
        self.left_count += len(leaving)
        super().perform(sender, [effect for effect in effects if effect not in leaving])

    def deliver_all(self) -> None:
        while self.messages or self.left:
            if self.left:
                self.bring_back(*self.left.pop(0))
            else:
                sender, data = self.messages.popleft()
                self.sent.append(data)
                self.tell(Delivered(sender, data))

    def bring_back(self, member: Member, for_good: bool) -> None:
        node = self.nodes.pop(member)
        self.perform(member, node.step(Disconnected(), NOW_S))
        self.announce()
        if for_good:
            self.join(member)
            return
        self.nodes[member] = node
        self.perform(member, node.step(Connected(member), NOW_S))
        self.announce(joined=(member,))


@pytest.mark.parametrize("seed", range(8))
def test_who_leaves_for_nonsense_says_why_and_is_in_sync_again(seed: int) -> None:
    rng, group = random.Random(f"status/{seed}"), ForgivingGroup()
    for member in MEMBERS:
        group.join(member)
    group.deliver_all()
    with capture_logs() as lines:
        for number in range(150):
            group.publish(rng.choice(MEMBERS), b"kv/%d" % rng.randrange(5), b"v%d" % number)
            group.messages.append((rng.choice(MEMBERS), nonsense(rng, group.sent[-30:])))
            group.deliver_all()
    reasons = [line["reason"] for line in lines if line["event"] == "leaving the group"]
    assert len(reasons) == group.left_count > 0
    assert all(len(reason.split()) > 2 for reason in reasons), reasons
    group.announce()
    group.deliver_all()
    assert [node.mode for node in group.nodes.values()] == [Mode.SYNCED] * 3
    group.publish(ONE, b"kv/last", b"known")
    group.deliver_all()
    for member in (TWO, THREE):
        table = group.nodes[member].status.values.of(ONE.node_id)
        assert table is not None
        assert table.values[b"kv/last"].data == b"known"
