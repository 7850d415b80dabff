"""A lock has at most one holder at any moment, and all who contend for it get it.

Who was told that it made the lock's directory holds it until it removes it; who never removes it,
because it crashed, until the lock's age allows others to have it broken.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.history import Call
from pmxcfs_lab.runs.promises import Interval, Promises
from pmxcfs_lab.runs.validators.finding import Finding

HOLDERS = "holders"
PROGRESS = "progress"

LIFETIME_S = 120.0
"""A lock that nobody refreshes is not broken before that. Source: docs/PROTOCOL.md, "Locks"."""

FREED_WITHIN_S = 45.0
"""So long after its time a lock that nobody holds must have been given to somebody who asks."""

CALM_ENOUGH_S = 10.0
"""In so much time without a fault every contender must get a lock at least once."""

HEALED_S = 5.0
"""So long after a fault nobody is in trouble any more."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which a client holds a lock for sure.

    Attributes:
        taken: the call that made it.
        ended_s: when the client began to give it back, or when it could be broken.
        is_given_back: whether it was, and surely.
    """

    taken: Call
    ended_s: float
    is_given_back: bool


def holders(facts: Facts) -> Finding:
    """Hold the first half of the claim against a run."""
    promises = Promises(facts)
    examined, excused, violations = 0, 0, []
    for holds in holds_of(facts.calls).values():
        sure = [hold for hold in holds if _is_promised(hold.taken, promises)]
        examined += len(sure)
        excused += len(holds) - len(sure)
        violations += list(_overlaps(sure))
    return Finding(examined, tuple(violations), excused)


def progress(facts: Facts) -> Finding:
    """Hold the second half of the claim against a run."""
    by_path = holds_of(facts.calls)
    examined, violations = 0, []
    for path, client, tries in _contenders(facts.calls):
        holds = by_path.get(path, [])
        calm_s = _calm_s(path, tries, holds, facts)
        if calm_s < CALM_ENOUGH_S:
            continue
        examined += 1
        if not any(hold.taken.client == client for hold in holds):
            words = f"{client} never got {path}, in {calm_s:.0f} s without a fault"
            violations.append(Violation(PROGRESS, tries[-1].began_s, words, node=tries[0].node))
    return Finding(examined, (*violations, *_never_freed(by_path, facts)))


def holds_of(calls: Sequence[Call]) -> Mapping[str, list[Hold]]:
    """Return all holds by lock, in order of time."""
    found: dict[str, list[Hold]] = defaultdict(list)
    open_calls: dict[tuple[str, str], Call] = {}
    for call in calls:
        key = (call.client, call.path)
        if call.name == "lock" and call.is_ok:
            open_calls[key] = call
        elif call.name == "unlock" and key in open_calls:
            found[call.path].append(Hold(open_calls.pop(key), call.began_s, call.is_ok))
    for (_, path), call in open_calls.items():
        found[path].append(Hold(call, call.began_s + LIFETIME_S, is_given_back=False))
    for holds in found.values():
        holds.sort(key=lambda hold: hold.taken.until_s)
    return found


def _is_promised(call: Call, promises: Promises) -> bool:
    return promises.is_among_the_others(
        call.node, call.began_s, call.until_s
    ) and promises.outlives_outages(call.until_s)


def _overlaps(holds: Sequence[Hold]) -> Iterator[Violation]:
    """Compare each hold with the one of those before that ends last."""
    last: Hold | None = None
    for hold in holds:
        if last is not None and hold.taken.until_s < last.ended_s:
            one, other = last.taken, hold.taken
            words = f"{one.path}: {other.client} got it while {one.client} had it"
            yield Violation(HOLDERS, other.until_s, words, node=other.node, op=other.id)
        if last is None or hold.ended_s > last.ended_s:
            last = hold


def _contenders(calls: Sequence[Call]) -> Iterator[tuple[str, str, list[Call]]]:
    """Yield (lock, client, its tries); locks that were abandoned are another claim's."""
    abandoned = {call.path for call in calls if call.name == "abandon"}
    tries = defaultdict(list)
    for call in calls:
        if call.name == "lock" and call.path not in abandoned:
            tries[call.path, call.client].append(call)
    for (path, client), found in tries.items():
        yield path, client, found


def _calm_s(path: str, tries: Sequence[Call], holds: Sequence[Hold], facts: Facts) -> float:
    """Return for how long a client could have got the lock if everybody is fair.

    Not while there is a fault, shortly after one, or while a lock that nobody knows of waits for
    its end: who was not told whether it has the lock believes that it has not. Such a call may have
    made the lock as late as when it was given up, after others had it.
    """
    left = [
        Interval(call.began_s, _free_again_at(call.until_s, holds))
        for call in facts.calls
        if call.path == path and call.name in ("lock", "unlock") and call.outcome == "unknown"
    ]
    left += [
        Interval(hold.taken.until_s, _free_again_at(hold.taken.until_s, holds))
        for hold in holds
        if not hold.is_given_back
    ]
    troubled = [Interval(span.began_s, span.ended_s + HEALED_S) for span in facts.spans]
    troubled += left
    return sum(
        later.began_s - call.began_s
        for call, later in pairwise(tries)
        if not any(time.meets(call.began_s, later.began_s) for time in troubled)
    )


def _free_again_at(left_s: float, holds: Sequence[Hold]) -> float:
    """Return when somebody got a lock that may have been left behind, or must get it."""
    taken_s = (hold.taken.until_s for hold in holds if hold.taken.began_s > left_s)
    return min(left_s + LIFETIME_S + FREED_WITHIN_S, *taken_s, float("inf"))


def _never_freed(by_path: Mapping[str, Sequence[Hold]], facts: Facts) -> Iterator[Violation]:
    """Find locks that were left behind, asked for long after their time, and given to nobody."""
    for path, holds in by_path.items():
        for hold, after in zip(holds, [*holds[1:], None], strict=True):
            due_s = hold.taken.until_s + LIFETIME_S + FREED_WITHIN_S
            if hold.is_given_back or hold.ended_s > due_s or facts.run.duration_s < due_s:
                continue
            is_calm = not any(
                span.ended_s + HEALED_S > due_s - FREED_WITHIN_S for span in facts.spans
            )
            taken_s = float("inf") if after is None else after.taken.until_s
            if is_calm and taken_s > due_s and _is_asked_for(path, due_s, facts.calls):
                words = f"{path} was left behind, and is not free in time"
                yield Violation(PROGRESS, due_s, words, node=hold.taken.node, op=hold.taken.id)


def _is_asked_for(path: str, after_s: float, calls: Sequence[Call]) -> bool:
    return any(
        call.path == path and call.name == "lock" and call.began_s > after_s - FREED_WITHIN_S
        for call in calls
    )
