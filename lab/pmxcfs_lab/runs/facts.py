"""All that validators know of a run, read from its folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pmxcfs_lab.runs import folder as run_folder
from pmxcfs_lab.runs.final import Final, read_final
from pmxcfs_lab.runs.folder import FaultEvent, Observation, Run
from pmxcfs_lab.runs.history import Call, calls_of


@dataclass(frozen=True, slots=True)
class Span:
    """A fault and its time."""

    fault: Mapping[str, Any]
    began_s: float
    ended_s: float

    @property
    def kind(self) -> str:
        """Its name in the catalogue."""
        return str(self.fault["name"])

    @property
    def service(self) -> str | None:
        """Which daemon it is aimed at, if it is aimed at one: a name, or "all"."""
        aim = self.fault.get("service")
        return None if aim is None else str(aim)

    def nodes(self, names: Sequence[str]) -> frozenset[str]:
        """Return the nodes that its fields name, or all if there are none."""
        named = _named(self.fault, frozenset(names))
        return named or frozenset(names)


@dataclass(frozen=True, slots=True)
class Facts:
    """A run as it was recorded.

    Attributes:
        logs: every node's log files' texts, by node and file name.
    """

    run: Run
    calls: Sequence[Call]
    observations: Sequence[Observation]
    spans: Sequence[Span]
    final: Final
    logs: Mapping[str, Mapping[str, str]]


def read_facts(folder: Path) -> Facts:
    """Return what a run's folder holds.

    Raises:
        LabError: it is no run's, or damaged.
    """
    run = run_folder.read_run(folder)
    final = read_final(folder)
    return Facts(
        run,
        calls_of(run_folder.read_history(folder)),
        list(run_folder.read_observations(folder)),
        spans_of(run_folder.read_faults(folder), final.t),
        final,
        {node: _logs(folder / run_folder.NODES / node) for node in run.nodes},
    )


def spans_of(events: Iterable[FaultEvent], end_s: float) -> list[Span]:
    """Return every fault with its time; one that was not healed lasts until the end."""
    spans = []
    begun: list[FaultEvent] = []
    for event in events:
        if event.event == "inject":
            begun.append(event)
        elif event.event == "heal":
            first = next((other for other in begun if other.fault == event.fault), None)
            if first is not None:
                begun.remove(first)
                spans.append(Span(event.fault, first.t, event.t))
    spans += [Span(event.fault, event.t, end_s) for event in begun]
    return sorted(spans, key=lambda span: span.began_s)


def _named(value: object, names: frozenset[str]) -> frozenset[str]:
    match value:
        case str():
            return frozenset({value}) & names
        case Mapping():
            return frozenset().union(*(_named(item, names) for item in value.values()))
        case list() | tuple():
            return frozenset().union(*(_named(item, names) for item in value))
        case _:
            return frozenset()


def _logs(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {path.name: path.read_text(errors="replace") for path in sorted(folder.glob("*.log"))}
