"""All nodes show the same status, whatever fails; and bugs planted in the program are found."""

from collections.abc import Callable, Mapping

import pytest

from pmxcfs.dfsm.application import Delivery
from pmxcfs.dfsm.effects import Effect
from pmxcfs.identity import Member, NodeId
from pmxcfs.kvstore import StatusApplication
from pmxcfs.status.clusterlog import ClusterLog
from pmxcfs.status.members import Membership
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_node import StatusNode
from tests.sim.status_claims import StatusViolationError, check_settled
from tests.sim.status_soak import StatusSoakError, perform, run, shortened
from tests.sim.status_world import StatusWorld

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("node_count", [3, 4, 5])
@pytest.mark.parametrize("seed", range(6))
def test_all_nodes_show_the_same_status_whatever_fails(seed: int, node_count: int) -> None:
    assert run(f"seeded/{seed}", 250, node_count).logged > 0


def test_a_parted_cluster_has_all_values_and_one_log_when_it_is_whole_again() -> None:
    world = StatusWorld(3)
    for line in (
        "settle",
        "tick 1",
        "partition 1,2|3 0",
        "publish 1 kv/a v1",
        "log 1 left",
        "tick 1",
        "publish 3 kv/b v2",
        "log 3 right",
        "read 1 20",
        "read 2 20",
        "read 3 20",
        "settle",
    ):
        perform(world, line)
    for process in world.processes.values():
        messages = [entry.message for entry in process.node.status.log.entries()]
        assert messages[:2] == [b"right", b"left"]
        assert len(messages) == 5


def forget_to_tell_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClusterStatus, "own_updates", lambda self: [])


def keep_ones_own_log(patch: pytest.MonkeyPatch) -> None:
    merge = ClusterLog.merge

    def merge_own(self: ClusterLog, states: Mapping[Member, bytes], me: Member | None) -> None:
        merge(self, {member: state for member, state in states.items() if member == me}, me)

    patch.setattr(ClusterLog, "merge", merge_own)


def apply_own_entries_again(patch: pytest.MonkeyPatch) -> None:
    """A log that takes whatever comes to it for news."""
    deliver = StatusApplication.deliver

    def deliver_own_too(
        self: StatusApplication,
        sender: Member,
        subtype: int,
        payload: bytes,
        time_s: int,
        now_s: int,
    ) -> Delivery:
        me, self.me = self.me, None
        delivery = deliver(self, sender, subtype, payload, time_s, now_s)
        self.me = me
        return delivery

    patch.setattr(StatusApplication, "deliver", deliver_own_too)
    patch.setattr(ClusterLog, "_note", lambda self, entry: None)


def forget_what_could_not_be_sent(patch: pytest.MonkeyPatch) -> None:
    finish = StatusNode._finish

    def finish_empty(self: StatusNode, effects: list[Effect], now_s: int) -> list[Effect]:
        self._unsent_entries.clear()
        return finish(self, effects, now_s)

    patch.setattr(StatusNode, "_finish", finish_empty)


def learn_only_who_comes(patch: pytest.MonkeyPatch) -> None:
    """A list of members that is made of the first one that was read."""
    learn = Membership.learn_online

    def learn_once(self: Membership, node_ids: set[NodeId]) -> None:
        if not self._online:
            learn(self, node_ids)

    patch.setattr(Membership, "learn_online", learn_once)


BUGS: list[Plant] = [
    forget_to_tell_values,
    keep_ones_own_log,
    apply_own_entries_again,
    forget_what_could_not_be_sent,
    learn_only_who_comes,
]

WORLDS_MAX = 30


def run_until_something_is_found() -> None:
    for number in range(WORLDS_MAX):
        run(f"planted/{number}", 150)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    monkeypatch.setattr("tests.sim.status_soak.shortened", lambda lines, node_count: lines)
    with pytest.raises(StatusSoakError) as caught:
        run_until_something_is_found()
    assert isinstance(caught.value.__cause__, StatusViolationError)


def test_a_failing_run_is_shortened_to_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_to_tell_values(monkeypatch)
    lines = ["tick 1", "publish 1 kv/a v1", "log 2 text", "read 1 1", "kill 2", "settle"]
    assert shortened(lines, 3) == ["publish 1 kv/a v1", "settle"]


@pytest.mark.parametrize("line", ["jump 1", "partition 1", "tick"])
def test_nonsense_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=line.split()[0]):
        perform(StatusWorld(), line)


def test_a_cluster_that_is_not_whole_is_not_settled() -> None:
    with pytest.raises(StatusViolationError, match="is in mode START"):
        check_settled(StatusWorld(3))
