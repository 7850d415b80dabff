"""The verbs that show what happened and what happens: report, watch."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live

from pmxcfs_lab.console import open_chosen, out
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.runs.tail import Tail, going_on
from pmxcfs_lab.watching import frame

RUNS = Path("build/runs")
RUN_IS_ALIVE_S = 15.0
"""A run's history grows at least so often."""


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="What a run left; or several.")
    ],
) -> None:
    """Write report.html into a run's folder: one page to look at, complete in itself."""
    # The plotting library takes a second to load; the other verbs do without.
    from pmxcfs_lab.runs.report import write_report

    for folder in folders:
        out.print(str(write_report(folder)), markup=False)


def watch(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help=f"A run to follow; else one going on below {RUNS}."),
    ] = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks.")] = 1.0,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="End by itself.")
    ] = None,
) -> None:
    """Show the lab live: nodes, members, quorum, sync, faults, and the calls of a run going on."""
    lab = open_chosen(context)
    until_s = time.monotonic() + (float("inf") if seconds is None else seconds)
    looking = _Looking(lab, run)
    shown = looking.frame()
    try:
        with Live(shown, console=out, screen=out.is_terminal, auto_refresh=False) as live:
            while time.monotonic() < until_s:
                time.sleep(max(0.05, every))
                shown = looking.frame()
                live.update(shown, refresh=True)
    except KeyboardInterrupt:
        pass
    if out.is_terminal:
        out.print(shown)


class _Looking:
    """Looks at a lab again and again, and finds the run that goes on."""

    def __init__(self, lab: Lab, run: Path | None) -> None:
        self._lab = lab
        self._is_fixed = run is not None
        self._tail = None if run is None else Tail(run)

    def frame(self) -> RenderableType:
        """Return what there is to see now."""
        self._follow()
        clock = time.strftime("%H:%M:%S")
        return frame(self._lab, self._tail, height=out.size.height, clock=clock)

    def _follow(self) -> None:
        if self._is_fixed:
            return
        folder = going_on(RUNS, within_s=RUN_IS_ALIVE_S, now_unix_s=time.time())
        if folder is None or self._tail is None or self._tail.folder != folder:
            self._tail = None if folder is None else Tail(folder)
