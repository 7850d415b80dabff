"""What long runs say of themselves while they last."""

import sys
import time
from dataclasses import dataclass, field

PERIOD_S = 5.0


@dataclass(slots=True)
class Progress:
    """Says every few seconds, on standard error, how far a run has come and how fast it is.

    Args:
        goal: how many steps the run wants to make.
        what: what it counts.
    """

    goal: int
    what: str = "steps"
    _began_s: float = field(default_factory=time.monotonic)
    _began_cpu_s: float = field(default_factory=time.process_time)
    _said_s: float = field(default_factory=time.monotonic)

    def note(self, count: int) -> None:
        """Note that so many steps are made, all in all."""
        now_s = time.monotonic()
        if now_s - self._said_s >= PERIOD_S:
            self._said_s = now_s
            so_far = f"{count} of {self.goal} {self.what} in {now_s - self._began_s:.0f} s"
            print(f"{so_far}, {self.speed(count)}", file=sys.stderr, flush=True)

    def speed(self, count: int) -> str:
        """Return how many steps there are in a second of this process's computing."""
        spent_s = time.process_time() - self._began_cpu_s
        return f"{count / spent_s:.0f} {self.what} per second of one core"
