"""The verbs of `pmxcfs-lab`."""

import json
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pmxcfs_lab import view
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import SETTLED_WITHIN_S, Lab
from pmxcfs_lab.layout import existing_labs
from pmxcfs_lab.plan import make_plan, node_name, parse_assignments
from pmxcfs_lab.provider import Service
from pmxcfs_lab.providers import open_lab

app = typer.Typer(
    name="pmxcfs-lab",
    help="Clusters of corosync and pmxcfs on this machine, made of namespaces, leaving no trace.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)
progress = Console(stderr=True, highlight=False, soft_wrap=True)


class Which(StrEnum):
    """Services a verb can be aimed at."""

    PMXCFS = "pmxcfs"
    COROSYNC = "corosync"
    ALL = "all"

    @property
    def services(self) -> tuple[Service, ...]:
        """The services meant."""
        return tuple(Service) if self is Which.ALL else (Service(self.value),)


LabName = Annotated[str, typer.Option("--lab", envvar="LAB", help="Which lab; many can coexist.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="2 or node2.")]
ServiceOption = Annotated[Which, typer.Option("--service", help="Aim at one service only.")]
Within = Annotated[float, typer.Option("--within", metavar="SECONDS", help="Give up after this.")]


@app.command()
def up(
    lab: LabName = "lab",
    nodes: Annotated[int, typer.Option("--nodes", "-n", help="1 to 9.")] = 3,
    binary: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE=PATH", help="Another pmxcfs executable on a node; repeatable."),
    ] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NODE=]FILE", help="A config.db that node 1 (or NODE) starts from; repeatable."
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Every node alone: pmxcfs -l, no corosync.")
    ] = False,
    within: Within = SETTLED_WITHIN_S,
) -> None:
    """Bring a lab up, or repair it if it is there; return when all nodes agree."""
    binaries = {
        name: str(_existing(path).resolve())
        for name, path in parse_assignments(binary or [], "PATH").items()
    }
    assignments = [text if "=" in text else f"1={text}" for text in database or []]
    databases = {
        name: _existing(path) for name, path in parse_assignments(assignments, "FILE").items()
    }
    plan = make_plan(lab, nodes, binaries, local=local)
    for name in databases:
        plan.node(name)
    opened = _open(lab)
    opened.up(plan, databases, within_s=within)
    _show(opened)
    out.print(view.try_next(lab, plan.names, is_cluster=not local), markup=False)


@app.command()
def status(
    lab: LabName = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show who is there, quorate, in sync and equal."""
    opened = _open(lab)
    if as_json:
        value = view.status_json(lab, opened.statuses(), opened.groups())
        out.print(json.dumps(value), markup=False)
    else:
        _show(opened)


@app.command(name="list")
def list_labs() -> None:
    """Name all labs on this machine."""
    for name in existing_labs():
        out.print(name, markup=False)


@app.command(name="exec")
def execute(
    node: NodeArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="What to run there.")],
    lab: LabName = "lab",
) -> None:
    """Run a command on a node with this terminal; its exit status becomes ours."""
    argv = _open(lab).attach_argv(node_name(node), command)
    os.execvp(argv[0], argv)


@app.command()
def down(lab: LabName = "lab") -> None:
    """Remove a lab with all its data, whatever state it is in."""
    was_there = _open(lab).down()
    out.print(f'Lab "{lab}" is gone.' if was_there else f'There was no lab "{lab}".', markup=False)


@app.command()
def partition(
    groups: Annotated[list[str], typer.Argument(help="For example: 1,2 3")], lab: LabName = "lab"
) -> None:
    """Cut the network into groups; nodes not named stay together."""
    out.print(view.partition_text(_open(lab).partition(*groups)), markup=False)


@app.command()
def heal(lab: LabName = "lab") -> None:
    """Make the network whole again."""
    _open(lab).heal()
    out.print(view.partition_text(()), markup=False)


@app.command()
def kill(node: NodeArgument, service: ServiceOption = Which.ALL, lab: LabName = "lab") -> None:
    """Kill a node's services with SIGKILL."""
    _open(lab).kill(node_name(node), service.services)


@app.command()
def stop(node: NodeArgument, service: ServiceOption = Which.ALL, lab: LabName = "lab") -> None:
    """Stop a node's services cleanly."""
    _open(lab).stop(node_name(node), service.services)


@app.command()
def start(
    node: NodeArgument,
    service: ServiceOption = Which.ALL,
    local: Annotated[bool, typer.Option("--local", help="Start pmxcfs with -l.")] = False,
    lab: LabName = "lab",
) -> None:
    """Start a node's services that do not run."""
    _open(lab).start(node_name(node), service.services, local=local)


@app.command()
def wait(
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE]...", help="Default: all.")
    ] = None,
    within: Within = SETTLED_WITHIN_S,
    lab: LabName = "lab",
) -> None:
    """Return when these nodes, and only they, are quorate, in sync and equal."""
    names = [node_name(node) for node in nodes] if nodes else None
    _open(lab).wait(names, within_s=within)


@app.command()
def logs(
    node: NodeArgument,
    service: ServiceOption = Which.ALL,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Of each file, from its end.")] = 40,
    lab: LabName = "lab",
) -> None:
    """Show the end of a node's logs, and where the whole files are."""
    for title, path in _open(lab).logs(node_name(node)).items():
        if service is Which.ALL or title.startswith(service.value):
            out.print(f"==> {title}: {path} <==", markup=False, style="bold")
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            out.print("\n".join(tail), markup=False)


def main() -> None:
    """Run the program; an error that people can act on is said in words, not as a traceback."""
    try:
        app()
    except LabError as error:
        progress.print(f"pmxcfs-lab: {error}", markup=False, style="red")
        if error.hint:
            progress.print(error.hint, markup=False)
        raise SystemExit(1) from None


def _open(name: str) -> Lab:
    began_s = time.monotonic()

    def say(line: str) -> None:
        progress.print(f"{time.monotonic() - began_s:6.1f} s  {line}", markup=False)

    return open_lab(name, say)


def _show(lab: Lab) -> None:
    out.print(view.status_table(lab.name, lab.statuses()))
    out.print(view.partition_text(lab.groups()), markup=False)


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise LabError(f"There is no file {path}.")
    return Path(path)
