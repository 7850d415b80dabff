"""The verbs of `pmxcfs-lab`."""

import json
import os
import re
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pmxcfs.version import version_line
from pmxcfs_lab import cli_faults, cli_looking, cli_runs, view
from pmxcfs_lab.console import PROVIDER, open_chosen, out, progress
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import existing_labs
from pmxcfs_lab.observer import SETTLED_WITHIN_S
from pmxcfs_lab.options import TOKEN_MS, Options
from pmxcfs_lab.plan import make_plan, node_name, parse_assignments
from pmxcfs_lab.provider import Service

app = typer.Typer(
    name="pmxcfs-lab",
    help="Clusters of corosync and pmxcfs on this machine, made of namespaces or containers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
NODE_GIVEN = re.compile(r"(?:node)?[1-9]=")


class Which(StrEnum):
    """Services a verb can be aimed at."""

    PMXCFS = "pmxcfs"
    COROSYNC = "corosync"
    ALL = "all"

    @property
    def services(self) -> tuple[Service, ...]:
        """The services meant."""
        return tuple(Service) if self is Which.ALL else (Service(self.value),)


NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="2 or node2.")]
ServiceOption = Annotated[Which, typer.Option("--service", help="Aim at one service only.")]
Within = Annotated[float, typer.Option("--within", metavar="SECONDS", help="Give up after this.")]


def show_version(is_wanted: bool) -> None:
    """Print the version and the revision, and end, if that is wanted."""
    if is_wanted:
        typer.echo(version_line("pmxcfs-lab"))
        raise typer.Exit


@app.callback()
def choose_lab(
    context: typer.Context,
    lab: Annotated[
        str, typer.Option("--lab", envvar="LAB", help="Which lab; many live side by side.")
    ] = "lab",
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider", envvar="PROVIDER", help="namespaces (default), docker or vagrant."
        ),
    ] = None,
    is_version_wanted: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=show_version, help="Print it, and end."),
    ] = False,
) -> None:
    """Take the options that come before the verb."""
    context.obj = lab
    context.meta[PROVIDER] = provider or None


@app.command()
def up(
    context: typer.Context,
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
    crypto: Annotated[bool, typer.Option("--crypto", help="corosync encrypts and signs.")] = False,
    token: Annotated[
        int, typer.Option("--token", metavar="MS", help="How long corosync waits for its token.")
    ] = TOKEN_MS,
    links: Annotated[int, typer.Option("--links", help="Networks the nodes have: 1 or 2.")] = 1,
    qdevice: Annotated[
        bool, typer.Option("--qdevice", help="One host more, with a vote: corosync-qnetd.")
    ] = False,
    switch: Annotated[
        bool, typer.Option("--switch", help="The lab's own switch carries the frames.")
    ] = False,
    disk: Annotated[
        bool, typer.Option("--disk", help="Databases lie on a disk layer that can fail.")
    ] = False,
    within: Within = SETTLED_WITHIN_S,
) -> None:
    """Bring a lab up, or repair it if it is there; return when all nodes agree."""
    binaries = {
        name: str(_existing(path).resolve())
        for name, path in parse_assignments(binary or [], "PATH").items()
    }
    assignments = [text if NODE_GIVEN.match(text) else f"1={text}" for text in database or []]
    databases = {
        name: _existing(path) for name, path in parse_assignments(assignments, "FILE").items()
    }
    options = Options(
        crypto=crypto, token_ms=token, links=links, qdevice=qdevice, disk=disk, switch=switch
    )
    plan = make_plan(context.obj, nodes, binaries, local=local, options=options)
    for name in databases:
        plan.node(name)
    opened = open_chosen(context)
    opened.up(plan, databases, within_s=within)
    _show(opened)
    out.print(view.try_next(_command(plan.lab), plan), markup=False)


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show who is there, quorate, in sync and equal."""
    opened = open_chosen(context)
    if as_json:
        value = view.status_json(opened.name, opened.statuses(), opened.groups())
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
    context: typer.Context,
    node: NodeArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="What to run there.")],
) -> None:
    """Run a command on a node with this terminal; its exit status becomes ours."""
    argv = open_chosen(context).attach_argv(node_name(node), command)
    os.execvp(argv[0], argv)


@app.command()
def down(context: typer.Context) -> None:
    """Remove a lab with all its data, whatever state it is in."""
    was_there = open_chosen(context).down()
    words = "is gone" if was_there else "was not there"
    out.print(f'Lab "{context.obj}" {words}.', markup=False)


@app.command()
def partition(
    context: typer.Context,
    groups: Annotated[list[str], typer.Argument(help="For example: 1,2 3")],
) -> None:
    """Cut the network into groups; nodes not named stay together."""
    out.print(view.partition_text(open_chosen(context).partition(*groups)), markup=False)


@app.command()
def kill(context: typer.Context, node: NodeArgument, service: ServiceOption = Which.ALL) -> None:
    """Kill a node's services with SIGKILL."""
    open_chosen(context).kill(node_name(node), service.services)


@app.command()
def stop(context: typer.Context, node: NodeArgument, service: ServiceOption = Which.ALL) -> None:
    """Stop a node's services cleanly."""
    open_chosen(context).stop(node_name(node), service.services)


@app.command()
def start(
    context: typer.Context,
    node: NodeArgument,
    service: ServiceOption = Which.ALL,
    local: Annotated[bool, typer.Option("--local", help="Start pmxcfs with -l.")] = False,
) -> None:
    """Start a node's services that do not run."""
    open_chosen(context).start(node_name(node), service.services, local=local)


@app.command()
def join(context: typer.Context, node: NodeArgument) -> None:
    """Add a node to the running cluster, through corosync.conf in /etc/pve."""
    opened = open_chosen(context)
    opened.join(node_name(node))
    _show(opened)


@app.command()
def remove(context: typer.Context, node: NodeArgument) -> None:
    """Take a node out of the running cluster, and remove it with its data."""
    opened = open_chosen(context)
    opened.remove(node_name(node))
    _show(opened)


@app.command()
def wait(
    context: typer.Context,
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE]...", help="Default: all.")
    ] = None,
    within: Within = SETTLED_WITHIN_S,
) -> None:
    """Return when these nodes, and only they, are quorate, in sync and equal."""
    names = [node_name(node) for node in nodes] if nodes else None
    open_chosen(context).wait(names, within_s=within)


@app.command()
def logs(
    context: typer.Context,
    node: NodeArgument,
    service: ServiceOption = Which.ALL,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Of each file, from its end.")] = 40,
) -> None:
    """Show the end of a node's logs, and where the whole files are."""
    for title, path in open_chosen(context).logs(node_name(node)).items():
        if service is Which.ALL or title.startswith(service.value):
            out.print(f"==> {title}: {path} <==", markup=False, style="bold")
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            out.print("\n".join(tail), markup=False)


app.command(name="scenarios")(cli_runs.list_scenarios)
for verb in (cli_faults.fault, cli_faults.faults, cli_faults.heal):
    app.command()(verb)
for run_verb in (cli_runs.run, cli_runs.replay, cli_runs.judge):
    app.command()(run_verb)
app.command()(cli_looking.report)
app.command()(cli_looking.watch)


def main() -> None:
    """Run the program; an error that people can act on is said in words, not as a traceback."""
    try:
        app()
    except LabError as error:
        progress.print(f"pmxcfs-lab: {error}", markup=False, style="red")
        if error.hint:
            progress.print(error.hint, markup=False)
        raise SystemExit(1) from None


def _command(lab: str) -> str:
    """Return how to call us again, from this folder and for this lab."""
    program = Path(sys.argv[0])
    if shutil.which(program.name):
        called = program.name
    else:
        called = os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program)
    return called if lab == "lab" else f"{called} --lab {lab}"


def _show(lab: Lab) -> None:
    out.print(view.status_table(lab.name, lab.statuses()))
    out.print(view.partition_text(lab.groups()), markup=False)


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise LabError(f"There is no file {path}.")
    return Path(path)
