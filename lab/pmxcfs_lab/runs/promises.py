"""Which acknowledged changes are promised to last, and until when a node keeps what it showed.

A change without fsync may be lost with a node that is cut off, or dies, before the others have
it; a change that a majority has on its disks may not. Source: docs/GUARANTEES.md, "Guarantees".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pmxcfs_lab.runs.facts import Facts, Span
from pmxcfs_lab.runs.folder import Observation

UNDER_WAY_S = 2.0
"""A change that was answered so long before a node was cut off had reached the others."""

NOTICED_AFTER_S = 8.0
"""So late a node may show that it is cut off: corosync's token and consensus, and our looking."""

PARTITIONS = frozenset({"isolate", "halves", "partition"})
"""Kinds of faults after which a majority side, if there is one, goes on undisturbed."""

TANGLES = frozenset({"majority_ring", "bridge", "one_way_loss"})
"""Kinds of which nobody can say which nodes corosync will put into one ring."""

SPARE_THE_RING = frozenset(
    {"link_quality", "lost_writes", "torn_writes", "bit_flips"}
    | {"disk_full", "disk_errors", "disk_slow"}
)
"""Kinds after which corosync still delivers what was sent, or shows that it does not."""

FORGET = frozenset({"lost_writes", "torn_writes", "power_off", "bit_flips"})
"""Kinds after which a node's disk lacks what was not synced, or all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A time; of a node that is cut off also until when it surely has what it took meanwhile."""

    began_s: float
    ended_s: float
    kept_until_s: float = float("inf")

    def meets(self, began_s: float, ended_s: float) -> bool:
        """Tell if it has a moment in common with another one."""
        return self.began_s <= ended_s and began_s <= self.ended_s


class Promises:
    """Tells what a run's cluster owed to its callers."""

    def __init__(self, facts: Facts) -> None:
        self._names = facts.run.nodes
        self._spans = facts.spans
        self._cut = {name: list(_cut(facts, name)) for name in self._names}
        self._outages = [span.began_s for span in facts.spans if _is_outage_of_all(span, facts)]
        self._losses = [span for span in facts.spans if _drops_what_is_not_synced(span)]

    def is_among_the_others(self, node: str, began_s: float, ended_s: float) -> bool:
        """Whether a change of this time, answered by this node, is known to have a majority."""
        return not any(
            time.meets(began_s, ended_s + UNDER_WAY_S) for time in self._cut.get(node, ())
        )

    def outlives_outages(self, ended_s: float) -> bool:
        """Whether a change without fsync is not followed by a loss of power of all nodes."""
        return all(outage_s < ended_s for outage_s in self._outages)

    def may_drop_at(self, node: str, began_s: float, ended_s: float) -> float:
        """Return from when on a node may have dropped a change, so that no fsync speaks of it.

        The next fsync on the node says so, whoever calls it; all later ones say nothing of it.
        """
        cuts = (
            time.kept_until_s
            for time in self._cut.get(node, ())
            if time.meets(began_s, ended_s + UNDER_WAY_S)
        )
        outages = (outage_s for outage_s in self._outages if outage_s >= ended_s)
        return min((*cuts, *outages), default=float("inf"))

    def works_alone(self, node: str, began_s: float, ended_s: float) -> bool:
        """Whether somebody had this node work without the others, so that it promises nothing."""
        return any(
            span.kind == "edit_alone"
            and node in span.nodes(self._names)
            and Interval(span.began_s, span.ended_s).meets(began_s, ended_s)
            for span in self._spans
        )

    def forgets_between(self, node: str, began_s: float, ended_s: float) -> bool:
        """Whether a node lost what its disk did not have yet: it shows an older state then."""
        return any(
            node in span.nodes(self._names)
            and Interval(span.began_s, span.ended_s).meets(began_s, ended_s)
            for span in self._losses
        )


def _cut(facts: Facts, node: str) -> Iterator[Interval]:
    """Yield when a node was away from the majority, or may have been."""
    seen = [look for look in facts.observations if look.node == node]
    for span in facts.spans:
        if _cuts_off(span, node, facts.run.nodes):
            back_s = _back_at(seen, span.ended_s, facts.final.t)
            yield Interval(span.began_s, back_s, span.ended_s)
    spared = [
        Interval(span.began_s, _back_at(seen, span.ended_s, facts.final.t))
        for span in facts.spans
        if (span.service == "pmxcfs" or span.kind in FORGET & SPARE_THE_RING)
        and node in span.nodes(facts.run.nodes)
    ]
    for look, missing_s in _missing(seen, facts.final.t):
        if not any(time.meets(look, missing_s) for time in spared):
            yield Interval(look - NOTICED_AFTER_S, missing_s, look)


def _cuts_off(span: Span, node: str, names: Sequence[str]) -> bool:
    """Whether changes of this node that are under way can be lost by a fault.

    Who only loses its pmxcfs does not: corosync goes on and delivers what was sent.
    """
    if span.service == "pmxcfs":
        return False
    if span.kind in PARTITIONS:
        return node not in majority(span, names)
    if span.kind in TANGLES:
        return True
    if span.kind in SPARE_THE_RING:
        return False
    return node in span.nodes(names)


def majority(span: Span, names: Sequence[str]) -> frozenset[str]:
    """Return the side of a partition that has more than half of the nodes; empty if none has."""
    named = [frozenset(side) for side in _sides(span)]
    rest = frozenset(names).difference(*named)
    sides = [*named, rest]
    return next((side for side in sides if 2 * len(side) > len(names)), frozenset())


def _sides(span: Span) -> Sequence[Sequence[str]]:
    match span.kind:
        case "isolate":
            return [[span.fault["node"]]]
        case "halves":
            return [span.fault["one"]]
        case _:
            return list(span.fault["groups"])


def _is_well(look: Observation) -> bool:
    return look.quorate is True and look.sync in (None, "synced") and look.up.get("pmxcfs", True)


def _back_at(seen: Iterable[Observation], ended_s: float, end_s: float) -> float:
    """Return when a node was first seen well after a fault."""
    return next((look.t for look in seen if look.t > ended_s and _is_well(look)), end_s)


def _missing(seen: Sequence[Observation], end_s: float) -> Iterator[tuple[float, float]]:
    """Yield from when to when a node was seen without quorum, or not seen well at all."""
    began_s: float | None = None
    for look in seen:
        if not _is_well(look):
            began_s = look.t if began_s is None else began_s
        elif began_s is not None:
            yield began_s, look.t
            began_s = None
    if began_s is not None:
        yield began_s, end_s


def _drops_what_is_not_synced(span: Span) -> bool:
    return span.kind in FORGET


def _is_outage_of_all(span: Span, facts: Facts) -> bool:
    names = facts.run.nodes
    return _drops_what_is_not_synced(span) and span.nodes(names) == frozenset(names)
