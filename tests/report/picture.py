"""Draw docs/report.png from a run: python -m tests.report.picture [FOLDER [FILE]]."""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from pmxcfs_lab.runs.report import write_report

from tests.unit.lab.runs.made_up import write_run

from .browser import browser

TO = Path(__file__).parents[2] / "docs" / "report.png"
HEIGHT_PX = 1740
COLOURS = 96
"""Enough for plots, and a third of the size."""


def main() -> None:
    """Draw the run that is named, or a made-up one."""
    with tempfile.TemporaryDirectory() as made_up, browser() as page:
        if not sys.argv[1:]:
            write_run(Path(made_up))
        report = write_report(Path(sys.argv[1] if sys.argv[1:] else made_up).resolve())
        page.open(report)
        to = Path(sys.argv[2]) if sys.argv[2:] else TO
        page.picture(to, HEIGHT_PX)
        Image.open(to).convert("RGB").quantize(COLOURS).save(to, optimize=True)


if __name__ == "__main__":
    main()
