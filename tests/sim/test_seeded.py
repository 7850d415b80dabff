"""Short random runs, the same every time. Long ones: ``python -m tests.sim.soak``."""

import pytest

from tests.sim.soak import run


@pytest.mark.parametrize("node_count", [3, 4, 5])
@pytest.mark.parametrize("seed", range(20))
def test_no_claim_is_broken(seed: int, node_count: int) -> None:
    tally = run(f"seeded/{seed}", 600, node_count)
    assert tally.steps >= 600


def test_the_runs_get_something_done() -> None:
    granted = sum(run(f"seeded/{seed}", 600, 3).granted for seed in range(10))
    assert granted > 200, "a run in which everything is refused proves nothing"


@pytest.mark.parametrize("node_count", [3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_no_claim_is_broken_where_corosync_is_busy(seed: int, node_count: int) -> None:
    assert run(f"busy/{seed}", 600, node_count, is_busy=True).steps >= 600
