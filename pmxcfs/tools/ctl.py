"""The command line of ``pmxcfs-ctl``."""

import json
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pmxcfs.options import RUN_DIR
from pmxcfs.tools import ctl_history
from pmxcfs.tools import ctl_rendering as rendering
from pmxcfs.tools.consoles import notes, out
from pmxcfs.tools.ctl_asking import AnswerError, UnreachableError, Value, ask, follow
from pmxcfs.tools.ctl_causes import Findings, findings
from pmxcfs.tools.ctl_corosync import Corosync, look_at_corosync
from pmxcfs.tools.ctl_manual import (
    ABOUT,
    EXIT_DEGRADED,
    EXIT_INTERRUPTED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)
from pmxcfs.tools.versions import add_version

app = typer.Typer(
    name="pmxcfs-ctl",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text is wrapped to the width of the terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_version(app, "pmxcfs-ctl")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RunDir = Annotated[
    Path,
    typer.Option("--run-dir", metavar="DIR", help="The daemon's --run-dir.", envvar="PMXCFS_RUN"),
]


class Switch(Enum):
    """A position of the debug switch."""

    ON = "on"
    OFF = "off"


@app.command()
def status(as_json: AsJson = False, run_dir: RunDir = RUN_DIR) -> None:
    """Show on one screen how the node is.

    Whether changes are taken, quorum and since when, how far the trees are in sync, what the tree
    and the database hold and how near they are to their limits, who holds which lock, what waits
    for whom, and every node of the cluster with what it means if it does not take part.

    \b
    Examples:
      pmxcfs-ctl status
      pmxcfs-ctl status >/dev/null || pmxcfs-ctl explain
      pmxcfs-ctl status --json | jq '.status.waits'
    """
    state, corosync, found = _look(run_dir)
    if as_json:
        _print_json({"status": state, "corosync": asdict(corosync), "findings": asdict(found)})
    else:
        rendering.show_status(state, corosync, found)
    if not found.is_all_well:
        raise typer.Exit(EXIT_DEGRADED)


@app.command()
def explain(as_json: AsJson = False, run_dir: RunDir = RUN_DIR) -> None:
    """Say why the node is read-only, and what to do.

    Whatever keeps changes from being taken is named, and what would make the node writable.
    Each cause comes with what is known of it and with the commands to run next; so does everything
    else that needs attention.

    \b
    Examples:
      pmxcfs-ctl explain
      pmxcfs-ctl explain --json | jq -r '.causes[].code'
    """
    state, _, found = _look(run_dir)
    if as_json:
        _print_json({"writable": not found.causes, **asdict(found)})
    else:
        rendering.show_findings(state, found)
    if not found.is_all_well:
        raise typer.Exit(EXIT_DEGRADED)


@app.command()
def members(as_json: AsJson = False, run_dir: RunDir = RUN_DIR) -> None:
    """List the nodes of the cluster.

    With what it means if one of them does not take part.

    \b
    Example:
      pmxcfs-ctl members --json | jq -r '.members[] | select(.in_ring | not) | .name'
    """
    state = _status_of(run_dir)
    if as_json:
        _print_json({"members": state["members"]})
    elif state["members"]:
        rendering.show_members(state)
    else:
        notes.print("This node is in no cluster, or corosync has not named its nodes yet.")


@app.command()
def log(
    is_followed: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on.")
    ] = False,
    count: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=10_000, help="How many old ones to show.")
    ] = 50,
    as_json: AsJson = False,
    run_dir: RunDir = RUN_DIR,
) -> None:
    """Print the cluster log, and follow it.

    All nodes share it. The oldest entry comes first.

    With --json each entry is a line, in the form that .clusterlog has.

    \b
    Examples:
      pmxcfs-ctl log -n 20
      pmxcfs-ctl log -f --json | jq -r 'select(.pri <= 4) | .msg'
    """
    for answer in follow(run_dir, "log", count=count, follow=is_followed):
        if as_json:
            _print_json(answer["entry"])
        else:
            rendering.show_entry(answer["entry"])


@app.command()
def watch(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file or directory below the mount.")
    ] = "",
    as_json: AsJson = False,
    run_dir: RunDir = RUN_DIR,
) -> None:
    """Print changes of the tree as they happen.

    Whichever node makes them.

    A line has the time at which this node took the change in, the tree's version after it, the node
    that made it, the operation, the path and the file's size. inotify on the mount sees changes of
    this node only; this sees all. [sync] marks what came with a synchronisation.

    Who reads slowly delays nobody: what does not fit into a queue is counted and told as missed.
    Only root sees private paths (priv, nodes/NAME/priv).

    \b
    Examples:
      pmxcfs-ctl watch
      pmxcfs-ctl watch /etc/pve/nodes/pve1
      pmxcfs-ctl watch --json | jq -r 'select(.change) | .change.path'
    """
    inner = path.removeprefix("/etc/pve").strip("/")
    for answer in follow(run_dir, "watch", path=inner):
        answer.pop("version", None)
        if as_json:
            _print_json(answer)
        elif "change" in answer:
            rendering.show_change(answer["change"])
        elif "missed" in answer:
            notes.print(f"missed {answer['missed']} changes: they came faster than they were read")
        else:
            notes.print(f"watching {inner or 'all of the tree'}; Ctrl-C ends it")


@app.command()
def metrics(run_dir: RunDir = RUN_DIR) -> None:
    """Print the daemon's metrics, for Prometheus.

    \b
    Example:
      pmxcfs-ctl metrics >/var/lib/prometheus/node-exporter/pmxcfs.prom
    """
    sys.stdout.write(str(ask(run_dir, "metrics")["metrics"]))


@app.command("list-values")
def list_values(as_json: AsJson = False, run_dir: RunDir = RUN_DIR) -> None:
    """List what nodes publish.

    The keys of their values, with versions and sizes.

    \b
    Example:
      pmxcfs-ctl list-values --json | jq '.values | keys'
    """
    tables = ask(run_dir, "values")["values"]
    if as_json:
        _print_json({"values": tables})
    else:
        rendering.show_values(tables)


@app.command()
def debug(
    switch: Annotated[
        Switch | None, typer.Argument(metavar="[on|off]", help="Without it: only say which it is.")
    ] = None,
    run_dir: RunDir = RUN_DIR,
) -> None:
    """Turn debug lines of the daemon on or off.

    As writing to .debug does; only root may.

    \b
    Example:
      pmxcfs-ctl debug on
    """
    arguments = {} if switch is None else {"on": switch is Switch.ON}
    is_on = ask(run_dir, "debug", **arguments)["debug"]
    out.print(f"debug lines are {'on' if is_on else 'off'}")


for _command in (ctl_history.history, ctl_history.show, ctl_history.diff, ctl_history.undo):
    app.command()(_command)


def _status_of(run_dir: Path) -> Value:
    state: Value = ask(run_dir, "status")["status"]
    return state


def _look(run_dir: Path) -> tuple[Value, Corosync, Findings]:
    state = _status_of(run_dir)
    corosync = look_at_corosync() if state["mode"] == "cluster" else Corosync("unknown")
    return state, corosync, findings(state, corosync)


def _print_json(value: object) -> None:
    """Print one line of JSON at once, for whoever reads a stream."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _tell_unreachable(error: UnreachableError) -> None:
    if "--json" in sys.argv[1:]:
        _print_json({"error": asdict(error.advice)})
    else:
        rendering.show_advice(error.advice, rendering.BAD)


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        app()
    except SystemExit as end:
        # Only a wrong command line ends typer with 2; what fails here raises something else.
        sys.exit(EXIT_USAGE if end.code == EXIT_UNREACHABLE else end.code)
    except UnreachableError as error:
        _tell_unreachable(error)
        sys.exit(EXIT_UNREACHABLE)
    except (AnswerError, ctl_history.HistoryError) as error:
        notes.print(f"pmxcfs-ctl: {error}")
        sys.exit(EXIT_DEGRADED)
    except BrokenPipeError:
        sys.stdout = None
        sys.exit(EXIT_DEGRADED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
