"""The verbs that show what happened and what happens: report, watch."""

from pathlib import Path
from typing import Annotated

import typer

from pmxcfs_lab.console import out


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
