"""What the lab shows to people: the status table, the lines after `up`, and JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.table import Table
from rich.text import Text

from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Groups
from pmxcfs_lab.status import NodeStatus, equality

VERSION_UNKNOWN = "-"

TRY = (
    ("status", "who is there, in sync, equal"),
    ("exec {first} -- ls -l /etc/pve", "run a command on a node"),
    ("exec {first} -- sh", "or have a shell there"),
    ("logs {first}", "what the daemons said"),
)
TRY_CLUSTER = (
    ("partition {last}", "cut node {last} off; `heal` mends it"),
    ("kill {last}", "kill -9 its daemons; `start {last}` brings them back"),
)
TRY_LAST = (("down", "remove it, and all its data"),)


def status_table(lab: str, statuses: Sequence[NodeStatus]) -> Table:
    """Return the table of `pmxcfs-lab status`."""
    table = Table(title=f'lab "{lab}"', title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("node", "corosync", "pmxcfs", "quorate", "members", "sync"):
        table.add_column(heading, no_wrap=heading != "members")
    table.add_column("tree version", justify="right", no_wrap=True)
    table.add_column("equal", no_wrap=True)
    equal = equality(statuses)
    for row in statuses:
        version = VERSION_UNKNOWN if row.tree_version is None else str(row.tree_version)
        table.add_row(
            row.name,
            _service(row.corosync),
            _service(row.pmxcfs),
            _verdict(row.quorate),
            _members(row.members),
            row.sync or VERSION_UNKNOWN,
            version,
            _verdict(equal[row.name]),
        )
    return table


def status_json(lab: str, statuses: Sequence[NodeStatus], groups: Groups) -> dict[str, object]:
    """Return the same as a JSON value, with the sides of the partition."""
    equal = equality(statuses)
    nodes = [{**asdict(row), "equal": equal[row.name]} for row in statuses]
    return {"lab": lab, "groups": groups, "nodes": nodes}


def partition_text(groups: Groups) -> str:
    """Return one line on who reaches whom."""
    if len(groups) <= 1:
        return "The network is whole."
    sides = " | ".join(", ".join(group) for group in groups)
    return f"The network is cut: {sides}"


def try_next(command: str, plan: Plan) -> str:
    """Return what to print after `up`.

    Args:
        command: how to call the program for this lab.
        plan: what is up.
    """
    words = {"first": plan.names[0][-1], "last": plan.names[-1][-1]}
    cluster = () if plan.local or len(plan.nodes) == 1 else TRY_CLUSTER
    rows = [
        (f"{command} {verb}".format(**words), what.format(**words))
        for verb, what in (*TRY, *cluster, *TRY_LAST)
    ]
    width = max(len(verb) for verb, _ in rows)
    lines = [f"  {verb:{width}}  {what}" for verb, what in rows]
    return "\n".join([f'Lab "{plan.lab}" is up. Try:', *lines])


def _service(word: str) -> Text:
    return Text(word, style="green" if word == "up" else "red")


def _verdict(value: bool | None) -> Text:
    if value is None:
        return Text(VERSION_UNKNOWN)
    return Text("yes", style="green") if value else Text("no", style="red")


def _members(names: Sequence[str]) -> str:
    return " ".join(name.removeprefix("node") for name in names) or VERSION_UNKNOWN
