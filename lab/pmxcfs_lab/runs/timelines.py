"""What nodes showed and which faults were there, as stretches of time."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pmxcfs_lab.runs.folder import FaultEvent, Observation

SILENCE_S = 3.0
"""Of a longer time between two observations of a node nothing is claimed."""

ONE_OBSERVATION_S = 0.5

VERSIONS_MAX = 2_000
"""Steps of one node's tree version that are drawn."""


class Condition(StrEnum):
    """A node in one word, the best first."""

    SYNCED = "in sync"
    SYNCING = "synchronising"
    NO_QUORUM = "no quorum"
    NO_PMXCFS = "pmxcfs down"
    NO_COROSYNC = "corosync down"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A node that showed the same for some time."""

    node: str
    start: float
    end: float
    condition: Condition
    members: tuple[int, ...]
    quorate: bool | None
    sync: str | None
    leader: int | None


@dataclass(frozen=True, slots=True)
class Steps:
    """The tree version of one node; it holds from each time until the next."""

    times: list[float]
    versions: list[float]


@dataclass(frozen=True, slots=True)
class Band:
    """A fault from its injection until it was healed.

    Attributes:
        end: the run's end if it never was.
        row: a number that no other fault of the same time has.
    """

    name: str
    details: str
    start: float
    end: float
    was_refused: bool
    is_healed: bool
    row: int = 0


def condition(seen: Observation) -> Condition:
    """Return the node's condition in one word."""
    if not seen.up.get("corosync", True):
        return Condition.NO_COROSYNC
    if not seen.up.get("pmxcfs", True):
        return Condition.NO_PMXCFS
    if not seen.quorate:
        return Condition.NO_QUORUM
    return Condition.SYNCED if seen.sync in ("synced", None) else Condition.SYNCING


def stretches(observations: Iterable[Observation]) -> list[Stretch]:
    """Return equal observations of a node that follow each other as one stretch each."""
    found: list[Stretch] = []
    last: dict[str, Stretch] = {}
    for seen in observations:
        now = _stretch(seen)
        before = last.get(seen.node)
        if before is not None:
            is_near = seen.t - before.end <= SILENCE_S
            before = replace(before, end=seen.t if is_near else before.end)
            if is_near and replace(before, start=0.0, end=0.0) == replace(now, start=0.0, end=0.0):
                last[seen.node] = before
                continue
            found.append(before)
        last[seen.node] = now
    return [*found, *last.values()]


def _stretch(seen: Observation) -> Stretch:
    members = tuple(sorted(seen.members))
    end = seen.t + ONE_OBSERVATION_S
    return Stretch(
        seen.node, seen.t, end, condition(seen), members, seen.quorate, seen.sync, seen.leader
    )


def versions(observations: Iterable[Observation]) -> dict[str, Steps]:
    """Return every node's tree versions where they change; a gap where it showed none."""
    steps: defaultdict[str, Steps] = defaultdict(lambda: Steps([], []))
    for seen in observations:
        of_node = steps[seen.node]
        version = float("nan") if seen.tree_version is None else float(seen.tree_version)
        if not of_node.versions or not _is_same(of_node.versions[-1], version):
            of_node.times.append(seen.t)
            of_node.versions.append(version)
    return {node: _thinned(of_node) for node, of_node in steps.items()}


def _is_same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)  # nan is nan


def _thinned(steps: Steps) -> Steps:
    """Keep every so-many-th step, and those that go back or are gaps."""
    stride = -(-len(steps.times) // VERSIONS_MAX)
    values = steps.versions
    keep = [
        place
        for place, value in enumerate(values)
        if place % stride == 0 or place == len(values) - 1 or not value > values[place - 1]
    ]
    return Steps([steps.times[place] for place in keep], [values[place] for place in keep])


def bands(events: Iterable[FaultEvent], until_s: float) -> list[Band]:
    """Return every fault as a band; one that was refused has no length."""
    found: list[Band] = []
    open_bands: dict[str, list[Band]] = defaultdict(list)
    for event in events:
        key = json.dumps(event.fault, sort_keys=True)
        if event.event == "heal":
            if open_bands[key]:
                healed = replace(open_bands[key].pop(0), end=event.t, is_healed=True)
                found.append(healed)
            continue
        band = _band(event, until_s)
        if band.was_refused:
            found.append(band)
        else:
            open_bands[key].append(band)
    found += [band for left in open_bands.values() for band in left]
    return _in_rows(sorted(found, key=lambda band: (band.start, band.end)))


def _band(event: FaultEvent, until_s: float) -> Band:
    refused = event.event == "refused"
    end = event.t if refused else max(until_s, event.t)
    name = str(event.fault.get("name", "?"))
    return Band(name, _details(event.fault), event.t, end, refused, is_healed=False)


def _details(fault: Mapping[str, Any]) -> str:
    """Return the fault's fields as people read them: `node node3, service pmxcfs`."""
    fields = (f"{key.strip('_')} {_shown(value)}" for key, value in fault.items() if key != "name")
    return ", ".join(fields)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(_shown(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value)


def _in_rows(in_order: list[Band]) -> list[Band]:
    """Give bands that overlap different rows, the lowest that is free."""
    ends: list[float] = []
    placed = []
    for band in in_order:
        row = next((row for row, end in enumerate(ends) if end <= band.start), len(ends))
        ends[row : row + 1] = [max(band.end, band.start + ONE_OBSERVATION_S)]
        placed.append(replace(band, row=row))
    return placed
