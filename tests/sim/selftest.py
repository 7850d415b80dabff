"""Shows that each claim can fail: ``python -m tests.sim.selftest`` prints a table of planted bugs.

It exits with 1 if a bug is not found by its claim, or a claim has no bug.
"""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.sim import planted_durable, planted_status, planting
from tests.sim.checkers import Checkers
from tests.sim.fsynced import FsyncedSurvives
from tests.sim.planted_protocol import BUGS as PROTOCOL_BUGS
from tests.sim.planted_storage import BUGS as STORAGE_BUGS
from tests.sim.planted_tree import BUGS as TREE_BUGS
from tests.sim.planting import Finding, Plant
from tests.sim.quiet import be_quiet
from tests.sim.status_claims import CLAIMS as STATUS_CLAIMS

Bug = tuple[Plant, Any, Callable[[Plant, Any], Finding | None]]
"""How it is planted, the claim that finds it, and the search in the worlds of that claim."""

BUGS: list[Bug] = [
    *((*bug, planting.find) for bug in (*PROTOCOL_BUGS, *STORAGE_BUGS, *TREE_BUGS)),
    *((*bug, planted_durable.find) for bug in planted_durable.BUGS),
    *((*bug, planted_status.find) for bug in planted_status.BUGS),
]


def claims_without_a_bug() -> list[str]:
    """Return the names of the claims that nothing has shown to be able to fail."""
    tried = {claim for _, claim, _ in BUGS}
    of_the_tree = map(type, Checkers(node_count=3, now_s=lambda: 0).claims)
    claims: Iterable[Any] = (*of_the_tree, FsyncedSurvives, *STATUS_CLAIMS)
    return [claim.__name__ for claim in claims if claim not in tried]


def main() -> int:
    """Plant one bug after the other; return the exit code."""
    be_quiet()
    missed = 0
    print(f"{'planted bug':42}{'found by':26}{'in':>14}{'steps':>9}{'s':>7}")
    for plant, claim, find in BUGS:
        start_s = time.monotonic()
        finding = find(plant, claim)
        missed += finding is None
        where = (finding.seed, f"{finding.steps}") if finding else ("NOT FOUND", "")
        passed_s = time.monotonic() - start_s
        print(f"{plant.__name__:42}{claim.__name__:26}{where[0]:>14}{where[1]:>9}{passed_s:7.1f}")
    untried = claims_without_a_bug()
    print(f"{len(BUGS)} bugs, {missed} not found; claims without a bug: {untried or 'none'}")
    return 1 if missed or untried else 0


if __name__ == "__main__":
    sys.exit(main())
