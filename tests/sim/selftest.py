"""Shows that each claim can fail: ``python -m tests.sim.selftest`` prints a table of planted bugs.

It exits with 1 if a bug is not found by its claim, or a claim has no bug.
"""

import sys
import time

from tests.sim.checkers import Checkers
from tests.sim.planted_protocol import BUGS as PROTOCOL_BUGS
from tests.sim.planted_storage import BUGS as STORAGE_BUGS
from tests.sim.planted_tree import BUGS as TREE_BUGS
from tests.sim.planting import STEPS, WORLDS_MAX, find
from tests.sim.quiet import be_quiet

BUGS = [*PROTOCOL_BUGS, *STORAGE_BUGS, *TREE_BUGS]


def claims_without_a_bug() -> list[str]:
    """Return the names of the claims that nothing has shown to be able to fail."""
    tried = {claim for _, claim in BUGS}
    claims = Checkers(node_count=3, now_s=lambda: 0).claims
    return [type(claim).__name__ for claim in claims if type(claim) not in tried]


def main() -> int:
    """Plant one bug after the other; return the exit code."""
    be_quiet()
    missed = 0
    print(f"{'planted bug':42}{'found by':24}{'in':>14}{'steps':>9}{'s':>7}")
    for plant, claim in BUGS:
        start_s = time.monotonic()
        finding = find(plant, claim)
        missed += finding is None
        where = (finding.seed, finding.steps) if finding else ("NOT FOUND", WORLDS_MAX * STEPS)
        passed_s = time.monotonic() - start_s
        print(f"{plant.__name__:42}{claim.__name__:24}{where[0]:>14}{where[1]:9}{passed_s:7.1f}")
    untried = claims_without_a_bug()
    print(f"{len(BUGS)} bugs, {missed} not found; claims without a bug: {untried or 'none'}")
    return 1 if missed or untried else 0


if __name__ == "__main__":
    sys.exit(main())
