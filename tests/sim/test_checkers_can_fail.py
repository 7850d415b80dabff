"""Each claim is checked in earnest: a bug planted in the program is found by the claim it breaks.

In the runs of the tree only that claim is checked, so none can hide behind another. The table of
what is found where is printed by ``make sim-selftest``.
"""

import pytest

from tests.sim.planting import STEPS
from tests.sim.selftest import BUGS, Bug, claims_without_a_bug
from tests.sim.soak import run


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug[0].__name__}-{bug[1].__name__}")
def test_a_planted_bug_is_found(bug: Bug) -> None:
    plant, claim, find = bug
    assert find(plant, claim) is not None


def test_every_claim_has_a_bug_that_it_finds() -> None:
    assert claims_without_a_bug() == []


def test_without_a_bug_nothing_is_found_there() -> None:
    for number in range(10):
        run(f"planted/{number}", STEPS, node_count=3)
