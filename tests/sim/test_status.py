"""All nodes show the same status, whatever fails; and bugs planted in the program are found."""

from collections.abc import Callable

import pytest

from tests.sim.planted_status import forget_to_tell_values
from tests.sim.status_claims import StatusViolationError, check_settled
from tests.sim.status_soak import perform, run, shortened
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
