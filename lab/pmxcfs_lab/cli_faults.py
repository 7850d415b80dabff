"""The verbs for faults: do one, list them, heal."""

from random import Random
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from pmxcfs_lab import view
from pmxcfs_lab.console import open_chosen, out
from pmxcfs_lab.faults import catalogue
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.lab import Lab


def fault(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="`faults` lists them.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Such as node=2.")
    ] = None,
) -> None:
    """Do a fault to the lab; it lasts until `heal`."""
    chosen = catalogue.from_words(kind, values or [])
    Active(open_chosen(context)).inject(chosen)
    out.print(f"{catalogue.to_words(chosen)}: done; `heal` ends it.", markup=False)


def faults(context: typer.Context) -> None:
    """List all kinds of faults, whether this lab can have them, and those it has."""
    lab = open_chosen(context)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind and fields", overflow="fold")
    table.add_column("here", overflow="fold")
    for kind in catalogue.KINDS:
        table.add_row(Text(catalogue.usage(kind)), Text(_verdict(lab, kind)))
    out.print(table)
    for active in Active(lab).faults():
        out.print(f"now: {catalogue.to_words(active)}", markup=False)


def heal(context: typer.Context) -> None:
    """End all faults, the last one first, and make the network whole."""
    for healed in Active(open_chosen(context)).heal_all():
        out.print(f"{catalogue.to_words(healed)}: healed", markup=False)
    out.print(view.partition_text(()), markup=False)


def _verdict(lab: Lab, kind: type[Fault]) -> str:
    """Return "yes", or why the lab can't have an example of this kind."""
    example = kind.draw(Random(0), lab.plan)
    if example is None:
        return "not in a lab like this one"
    return example.available(lab) or "yes"
