"""What the verbs share: where they print, and the lab that was chosen before the verb."""

import time

import typer
from rich.console import Console

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.providers import open_lab

out = Console(highlight=False, soft_wrap=True)
progress = Console(stderr=True, highlight=False, soft_wrap=True)

PROVIDER = "pmxcfs_lab.provider"
"""Where the chosen provider is kept between the options and the verb."""


def open_chosen(context: typer.Context) -> Lab:
    """Return the lab that was chosen, with a clock before each line of progress."""
    began_s = time.monotonic()

    def say(line: str) -> None:
        progress.print(f"{time.monotonic() - began_s:6.1f} s  {line}", markup=False)

    return open_lab(context.obj, say, context.meta[PROVIDER])
