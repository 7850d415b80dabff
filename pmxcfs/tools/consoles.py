"""Where the tools print: results to standard output, remarks to standard error."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table

_WIDTH_WITHOUT_TERMINAL = 1000

out = Console(
    highlight=False,
    markup=False,
    soft_wrap=True,
    width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL,
)
notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """Print a table whose lines end where their text does."""
    options = out.options.update(no_wrap=True, overflow="ignore")  # what print does
    for line in out.render_lines(table, options, pad=False):
        out.print(Segments([*_without_end(line), Segment.line()]))


def _without_end(line: Iterable[Segment]) -> list[Segment]:
    """Return a line without the spaces at its end."""
    kept = list(line)
    while kept and not (text := kept[-1].text.rstrip()):
        kept.pop()
    if kept:
        kept[-1] = Segment(text, kept[-1].style)
    return kept
