"""Where the tools print: results to standard output, remarks to standard error."""

import sys

from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 1000

out = Console(
    highlight=False,
    markup=False,
    soft_wrap=True,
    width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL,
)
notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
