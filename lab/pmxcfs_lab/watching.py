"""What `watch` shows: a lab, its faults, and a run that goes on, at one moment."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pmxcfs_lab import view
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.catalogue import to_words
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.runs.folder import Phase
from pmxcfs_lab.runs.tail import Ended, Tail
from pmxcfs_lab.runs.words import duration_text

STYLES: dict[Phase, str] = {"ok": "green", "fail": "yellow", "unknown": "magenta"}
NOT_CALLS_LINES = 16
"""Lines of the screen that are not calls, without the nodes."""

CALLS_MIN = 3


def frame(lab: Lab, tail: Tail | None, *, height: int, clock: str) -> RenderableType:
    """Look at everything and return what to show.

    Args:
        lab: which must exist.
        tail: of the run that goes on, if one does.
        height: of the terminal, in lines.
        clock: the time of day.

    Raises:
        LabError: the lab is gone.
    """
    nodes = len(lab.plan.nodes)
    parts: list[RenderableType] = [
        view.status_table(lab.name, lab.statuses()),
        Text(view.partition_text(lab.groups())),
        fault_lines([to_words(fault) for fault in Active(lab).faults()]),
    ]
    if tail is not None:
        tail.read()
        room = max(CALLS_MIN, height - nodes - NOT_CALLS_LINES)
        parts += [Text(), run_line(tail), calls_table(list(tail.ended)[-room:])]
    parts += [Text(), Text(f"{clock}   Ctrl-C ends this; the lab stays.", style="dim")]
    return Group(*parts)


def fault_lines(faults: Sequence[str]) -> Text:
    """Return what is wrong on purpose."""
    if not faults:
        return Text("No fault.")
    return Text("Faults now: " + "\n            ".join(faults), style="red")


def run_line(tail: Tail) -> Text:
    """Return one line on the run: where, how far, how many calls a second."""
    line = Text(f"run {tail.folder.name}", style="bold")
    line.append(f"  at {tail.now_s:.1f} s  ", style="not bold")
    rates = tail.per_s()
    for phase, style in STYLES.items():
        line.append(f"{rates.get(phase, 0.0):.1f} {phase}/s  ", style=f"not bold {style}")
    line.append(f"{tail.waiting} waiting", style="not bold")
    return line


def calls_table(ended: Sequence[Ended]) -> Table:
    """Return the last calls, the newest at the end."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("at", "client", "node", "call"):
        table.add_column(heading, no_wrap=True)
    table.add_column("path", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("result", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for call in ended:
        event = call.event
        result = event.phase if event.errno is None else f"{event.phase} {event.errno}"
        table.add_row(
            f"{event.t:.1f}",
            Text(event.client),
            event.node,
            event.call,
            Text(event.path),
            Text(result, style=STYLES.get(event.phase, "")),
            duration_text(call.ms),
        )
    return table
