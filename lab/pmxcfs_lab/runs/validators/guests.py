"""A guest's number belongs to one configuration at every moment.

What clients were told must fit some order of their calls in which a number that is there is never
made again and a configuration is moved and removed only from where it is. Who moves one to where
others have just moved it may be told that it did: the kernel finds one file under both names. A
call whose outcome is unknown, or that no promise covers, fits at any time from its begin until
shortly after its answer, or never.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.history import Call
from pmxcfs_lab.runs.promises import Promises
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "guests"

STATES_MAX = 4000
"""With more possible orders than that we give up on a number, and say that it is excused."""

STILL_UNDER_WAY_S = 10.0
"""So long after an answer that leaves it open a change may still happen."""

CONFIGURATION = re.compile(r"nodes/[^/]+/(?:qemu-server|lxc)/(\d+)\.conf")

Place = str | None
State = tuple[Place, frozenset[int]]
"""Where the configuration is, and which calls under way have happened already."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a call did, if it did it: from where to where."""

    number: int
    before: Place
    after: Place
    call: Call

    def is_there_at(self, place: Place) -> bool:
        """Whether a configuration is where this call moves it to."""
        return place is not None and self.call.name == "migrate" and place == self.after


class Moment(IntEnum):
    """What can be said of a call from now on."""

    BEGIN = 0
    DONE = 1
    TOO_LATE = 2


class TooMany:
    """Nobody can say whether calls fit an order."""


def examine(facts: Facts) -> Finding:
    """See the module."""
    promises = Promises(facts)
    examined, excused, violations = 0, 0, list(_twins(facts))
    for vmid, calls in _by_number(facts.calls).items():
        verdict = _first_misfit(calls, promises)
        examined += len(calls)
        if isinstance(verdict, TooMany):
            excused += len(calls)
        elif verdict is not None:
            what = f"{verdict.name} of {verdict.path} by {verdict.client}"
            words = f"{vmid}: {what} was acknowledged, and fits no order"
            violations.append(
                Violation(NAME, verdict.until_s, words, node=verdict.node, op=verdict.id)
            )
    return Finding(examined, tuple(violations), excused)


def _by_number(calls: Sequence[Call]) -> dict[int, list[Call]]:
    found = defaultdict(list)
    for call in calls:
        match = CONFIGURATION.fullmatch(call.path)
        if match and call.name in ("create", "migrate", "destroy") and call.outcome != "fail":
            found[int(match[1])].append(call)
    return found


def _step(number: int, call: Call) -> Step:
    match call.name:
        case "create":
            return Step(number, None, call.path, call)
        case "migrate":
            return Step(number, call.path, str(call.value), call)
        case _:
            return Step(number, call.path, None, call)


def _first_misfit(calls: Sequence[Call], promises: Promises) -> Call | TooMany | None:
    """Return the first call that fits no order; None if all do."""
    states: set[State] = {(None, frozenset())}
    under_way: list[Step] = []
    for kind, step in _moments(calls, promises):
        if kind is Moment.BEGIN:
            under_way.append(step)
            continue
        reached = _reachable(states, under_way)
        if len(reached) > STATES_MAX:
            return TooMany()
        states = {
            (place, done - {step.number})
            for place, done in reached
            if kind is Moment.TOO_LATE or step.number in done
        }
        under_way.remove(step)
        if not states:
            return step.call
    return None


def _moments(calls: Sequence[Call], promises: Promises) -> list[tuple[Moment, Step]]:
    """Return when calls begin, must have happened, and cannot happen any more, in order of time."""
    moments = []
    for number, call in enumerate(calls):
        step = _step(number, call)
        is_sure = (
            call.is_ok
            and promises.is_among_the_others(call.node, call.began_s, call.until_s)
            and promises.outlives_outages(call.until_s)
        )
        moments.append((call.began_s, Moment.BEGIN, step))
        if is_sure:
            moments.append((call.until_s, Moment.DONE, step))
        else:
            moments.append((call.until_s + STILL_UNDER_WAY_S, Moment.TOO_LATE, step))
    moments.sort(key=lambda moment: (moment[0], moment[1], moment[2].number))
    return [(kind, step) for at_s, kind, step in moments if at_s < float("inf")]


def _reachable(states: set[State], under_way: Sequence[Step]) -> set[State]:
    """Return the states after any of the calls under way, in any order."""
    found, fresh = set(states), list(states)
    while fresh and len(found) <= STATES_MAX:
        place, done = fresh.pop()
        for step in under_way:
            if step.number not in done and (step.before == place or step.is_there_at(place)):
                state = (step.after, done | {step.number})
                if state not in found:
                    found.add(state)
                    fresh.append(state)
    return found


def _twins(facts: Facts) -> Iterator[Violation]:
    """Find numbers that have two configurations in the end."""
    for name, node in facts.final.nodes.items():
        places = defaultdict(list)
        for path in node.tree:
            match = CONFIGURATION.fullmatch(path)
            if match:
                places[match[1]].append(path)
        for vmid, paths in places.items():
            if len(paths) > 1:
                words = f"{vmid} has {len(paths)} configurations: {', '.join(sorted(paths))}"
                yield Violation(NAME, facts.final.t, words, node=name)
