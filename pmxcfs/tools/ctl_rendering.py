"""What ``pmxcfs-ctl`` shows to people: one screen of state, findings, log lines, changes."""

import time
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from pmxcfs.tools.consoles import out, print_table
from pmxcfs.tools.ctl_asking import Advice, Value
from pmxcfs.tools.ctl_causes import Findings
from pmxcfs.tools.ctl_corosync import Corosync
from pmxcfs.tools.ctl_members import sees_the_group, votes, what_is_wrong_with
from pmxcfs.tools.ctl_words import bytes_text, duration, percent, plural, since
from pmxcfs.tools.problems import printable

GOOD, DOUBTFUL, BAD, QUIET = "green", "yellow", "bold red", "dim"

_PRIORITIES = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
_COROSYNC_STYLES = {"works": GOOD, "unknown": DOUBTFUL}

_FSYNC = {
    "majority": "returns when a majority of the nodes has it on disk",
    "this node": "returns when this node has it on disk",
    "nothing": "waits: for quorum, or for other nodes",
}

Row = tuple[str, Text]


def show_status(status: Value, corosync: Corosync, found: Findings) -> None:
    """Print one screen about a node."""
    out.print(_title(status))
    grid = Table.grid(padding=(0, 2))
    for name, text in _rows(status, corosync, found):
        grid.add_row(Text(name, QUIET), text)
    print_table(grid)
    if status["members"]:
        out.print()
        show_members(status)
        if corosync.state == "hangs":
            out.print(Text("This, and quorum, is what corosync said last.", DOUBTFUL))
    if found.concerns or found.notices:
        out.print()
        for advice in (*found.concerns, *found.notices):
            out.print(Text(f"{_line(advice.sentence)}", DOUBTFUL))
    if not found.is_all_well:
        out.print(Text("pmxcfs-ctl explain says what to do.", QUIET))


def show_members(status: Value) -> None:
    """Print a table of the configured nodes: who takes part, and what it means if one does not."""
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for name in ("id", "node", "address", "votes", "ring", "pmxcfs", "what it means"):
        table.add_column(name, no_wrap=True)
    for member in status["members"]:
        problem = what_is_wrong_with(member, status)
        in_group = member["in_group" if sees_the_group(status) else "in_status_group"]
        table.add_row(
            str(member["node_id"]),
            _line(str(member["name"])) + (" *" if member["is_this_node"] else ""),
            _line(str(member["ip"] or "-")),
            str(member["votes"]),
            _yes(member["in_ring"]),
            _yes(in_group),
            _meaning(member, problem),
        )
    print_table(table)


def _meaning(member: Value, problem: str) -> Text:
    if problem:
        return Text(problem, BAD)
    is_known = member["is_this_node"] or member["answers"]
    return Text("all well", GOOD) if is_known else Text("no fault seen; it cannot be asked", QUIET)


def show_findings(status: Value, found: Findings) -> None:
    """Print why a node is read-only, or that it is not, and what to do."""
    if found.causes:
        out.print(Text(f"{_line(status['node'])} takes no changes at the moment.", BAD))
    else:
        out.print(Text(f"{_line(status['node'])} is writable.", GOOD))
    for advice in found.causes:
        show_advice(advice, BAD)
    for advice in found.concerns:
        show_advice(advice, DOUBTFUL)
    for advice in found.notices:
        show_advice(advice, "")


def show_advice(advice: Advice, style: str) -> None:
    """Print one finding: what it is, what is known of it, what to run."""
    out.print()
    out.print(Text(_line(advice.sentence), style))
    for detail in advice.details:
        out.print(f"  {_line(detail)}")
    for command in advice.commands:
        out.print(Text(f"    {_line(command)}", "bold"))


def show_entry(entry: Value) -> None:
    """Print one line of the cluster log."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["time"]))
    priority = int(entry["pri"])
    word = _PRIORITIES[priority] if priority < len(_PRIORITIES) else str(priority)
    style = {"emerg": BAD, "alert": BAD, "crit": BAD, "error": BAD, "warning": DOUBTFUL}.get(word)
    line = f"{moment} {entry['node']} {entry['tag']}[{entry['pid']}] {entry['user']} {word}: "
    out.print(Text(_line(line + str(entry["msg"])), style or ""))


def show_change(change: Value) -> None:
    """Print one line about a change of the tree."""
    moment = time.strftime("%H:%M:%S", time.localtime(change["time_s"]))
    who = change["node"] or ("-" if change["node_id"] is None else f"id {change['node_id']}")
    target = "" if change["target"] is None else f" -> {change['target']}"
    size = "" if change["size"] is None else f" ({change['size']} bytes)"
    by_sync = " [sync]" if change["is_sync"] else ""
    line = f"{moment} {change['tree_version']:>8} {who:<12} {change['action']:<7}"
    out.print(_line(f"{line} {change['path']}{target}{size}{by_sync}"))


def show_values(tables: dict[str, Value]) -> None:
    """Print which values each node publishes, how large they are and how often they came."""
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for name in ("node", "key", "version", "bytes"):
        table.add_column(name, justify="right" if name in ("version", "bytes") else "left")
    for node, values in tables.items():
        for key, value in values.items():
            table.add_row(_line(node), _line(key), str(value["version"]), str(value["size"]))
    print_table(table)


def _title(status: Value) -> Text:
    cluster = status["cluster"]
    where = f'cluster "{cluster["name"]}"' if cluster else "no cluster"
    up = duration(status["now_s"] - status["started_s"])
    parts = (where, f"pmxcfs {status['software']}", f"pid {status['pid']}", f"up {up}")
    return Text.assemble((_line(status["node"]), "bold"), _line(f"  {'  '.join(parts)}"))


def _rows(status: Value, corosync: Corosync, found: Findings) -> Iterator[Row]:
    if found.causes:
        sentences = "; ".join(advice.sentence for advice in found.causes)
        yield "changes", Text(f"NOT TAKEN: {_line(sentences)}", BAD)
    else:
        yield "changes", Text("taken", GOOD)
    yield "mode", _mode(status)
    if status["mode"] == "cluster":
        yield "quorum", _quorum(status, corosync)
        yield "sync", _sync(status)
        yield "fsync", Text(_FSYNC.get(status["fsync"], str(status["fsync"])))
        yield "corosync", Text(_corosync(corosync), _COROSYNC_STYLES.get(corosync.state, BAD))
    yield "tree", _tree(status)
    yield "database", _database(status)
    yield from _several("locks", _locks(status))
    yield from _several("waits", _waits(status))


def _mode(status: Value) -> Text:
    mode = "a member of a cluster" if status["mode"] == "cluster" else "alone"
    return Text(f"{mode}, mounted on {_line(status['mountpoint'])}")


def _quorum(status: Value, corosync: Corosync) -> Text:
    quorum = status["quorum"]
    present, needed, expected = votes(status, corosync)
    word = "yes" if quorum["quorate"] else "NO"
    is_known = corosync.state != "hangs"
    text = f"{word}, {since(quorum['since_s'], status)}"
    text += f"; {present} of {plural(expected, 'vote')}, {needed} needed" if is_known else ""
    style = GOOD if is_known else DOUBTFUL
    return Text(text, style if quorum["quorate"] else BAD)


def _sync(status: Value) -> Text:
    sync = status["sync"]
    leader = next(
        (member["name"] for member in status["members"] if member["node_id"] == sync["leader"]),
        None,
    )
    text = f"{sync['mode']}, {since(sync['since_s'], status)}"
    text += f"; the tree came from {leader}" if leader else ""
    text += "" if sync["status_group"] == "synced" else f"; status group {sync['status_group']}"
    return Text(_line(text), GOOD if sync["mode"] == "synced" else BAD)


def _corosync(corosync: Corosync) -> str:
    words = {
        "works": "works",
        "dead": "does not run",
        "hangs": "DOES NOT ANSWER",
        "unknown": "could not be asked (only root may)",
    }
    return words.get(corosync.state, corosync.state) + (
        f" (pid {corosync.pid})" if corosync.pid is not None else ""
    )


def _tree(status: Value) -> Text:
    tree = status["tree"]
    entries = percent(tree["entries"], tree["entries_max"])
    size = percent(tree["bytes"], tree["bytes_max"])
    return Text(
        f"version {tree['version']}; {tree['entries']} of {tree['entries_max']} entries "
        f"({entries} %), {bytes_text(tree['bytes'])} of {bytes_text(tree['bytes_max'])} ({size} %)"
    )


def _database(status: Value) -> Text:
    database = status["database"]
    text = f"{database['state']}; {_line(database['path'])}"
    for name, key in (("", "size_bytes"), ("log ", "wal_bytes"), ("free ", "free_bytes")):
        if database[key] is not None:
            text += f", {name}{bytes_text(database[key])}"
    text += "" if database["answers"] else "; THE DISK DOES NOT ANSWER"
    return Text(text, GOOD if database["state"] == "writable" else BAD)


def _locks(status: Value) -> list[Text]:
    locks = status["locks"]
    if locks["count"] and not locks["held"]:
        return [Text(f"{plural(locks['count'], 'lock')}; only root may see which")]
    lines = []
    for lock in locks["held"]:
        holder = lock["holder"] or f"node {lock['node_id']}"
        is_old = lock["age_s"] > locks["lifetime_s"]
        text = f"{lock['path']}  held by {holder}, refreshed {duration(lock['age_s'])} ago"
        text += ", expired: whoever wants it may take it" if is_old else ""
        lines.append(Text(_line(text), DOUBTFUL if is_old else ""))
    return lines


def _waits(status: Value) -> list[Text]:
    queue = status["queue"]
    lines = [
        Text(
            _line(
                f"{wait['who']}: for {', '.join(map(str, wait['waits_for']))} "
                f"since {duration(wait['waited_s'])}: {wait['what']}"
            ),
            DOUBTFUL,
        )
        for wait in status["waits"]
    ]
    if queue["callers"]:
        lines.append(Text(f"{plural(queue['callers'], 'caller')} for an answer", DOUBTFUL))
    if queue["behind_database"]:
        lines.append(Text(f"{plural(queue['behind_database'], 'event')} behind the database"))
    if queue["for_quorum"]:
        lines.append(Text(f"{plural(queue['for_quorum'], 'event')} for quorum"))
    return lines


def _several(name: str, lines: Sequence[Text]) -> Iterator[Row]:
    for number, line in enumerate(lines or [Text("none")]):
        yield name if number == 0 else "", line


def _yes(value: object) -> Text:
    return Text("yes", GOOD) if value else Text("no", BAD)


def _line(text: str) -> str:
    """Return text that can do a terminal no harm."""
    return printable(text.encode(errors="surrogateescape"))
