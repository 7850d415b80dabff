"""No call waits longer than its bound, whatever fails; while its daemon hangs, no time counts."""

from collections.abc import Iterator, Sequence

from pmxcfs_lab.runs.facts import Facts, Span
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.history import Call
from pmxcfs_lab.runs.traffic import BOUNDS_S
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "bounds"

DIED = "died"
"""In the place of an error: the client died, so nobody waited any more."""


def examine(facts: Facts) -> Finding:
    """See the module."""
    return Finding(len(facts.calls), tuple(_violations(facts)))


def _violations(facts: Facts) -> Iterator[Violation]:
    standing = {name: _hangs(facts, name) for name in facts.run.nodes}
    for call in facts.calls:
        if call.errno == DIED:
            continue
        waited_s = waited(call, facts.final.t, standing.get(call.node, ()))
        bound_s = BOUNDS_S.get(call.name, BOUNDS_S["change"])
        if waited_s > bound_s:
            end = "is not answered" if call.ended_s is None else "was answered"
            words = f"{call.name} of {call.path} by {call.client} {end} after {waited_s:.1f} s"
            t = call.began_s + bound_s if call.overdue_s is None else call.overdue_s
            yield Violation(NAME, t, words, node=call.node, op=call.id)


def waited(call: Call, now_s: float, hangs: Sequence[Span]) -> float:
    """Return how long a call waited for a daemon that could work."""
    ended_s = now_s if call.ended_s is None else call.ended_s
    waited_s = ended_s - call.began_s
    for span in hangs:
        waited_s -= max(0.0, min(ended_s, span.ended_s) - max(call.began_s, span.began_s))
    return waited_s


def _hangs(facts: Facts, node: str) -> list[Span]:
    return [
        span
        for span in facts.spans
        if span.kind == "hang"
        and span.service in ("pmxcfs", "all")
        and node in span.nodes(facts.run.nodes)
    ]
