"""What the tools show: lines and tables for people, JSON for programs."""

import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.index import tree_checksum
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.checking import Examination
from pmxcfs.tools.comparing import Difference, Manner, text_difference
from pmxcfs.tools.consoles import out
from pmxcfs.tools.placing import Misfit
from pmxcfs.tools.problems import Severity, printable
from pmxcfs.tools.repairing import Repair

_STYLES = {Severity.REFUSED: "bold red", Severity.WRONG: "red", Severity.WARNING: "yellow"}
_MARKS = {Manner.ADDED: "+", Manner.REMOVED: "-", Manner.CHANGED: "M", Manner.METADATA: "m"}


def show_findings(database: Path, examination: Examination) -> None:
    """Print every problem on a line of its own, then what to do."""
    for problem in examination.problems:
        out.print(f"{problem.severity:8}", style=_STYLES[problem.severity], end=" ")
        out.print(f"{problem.kind}: {problem.sentence}")
    out.print(f"{database}: {_verdict(examination)}")


def findings_json(database: Path, examination: Examination) -> str:
    """Return what ``check --json`` prints."""
    root = examination.placement.tree.root
    value = {
        "database": str(database),
        "readable": examination.is_readable,
        "sound": examination.is_sound,
        "version": root.version,
        "entries": len(examination.placement.tree),
        "bytes": examination.placement.tree.content_size_bytes,
        "checksum": tree_checksum(examination.placement.tree).hex(),
        "problems": [
            {
                "kind": problem.kind,
                "severity": problem.severity,
                "inode": problem.inode,
                "sentence": problem.sentence,
            }
            for problem in examination.problems
        ],
    }
    return json.dumps(value)


def _verdict(examination: Examination) -> str:
    tree = examination.placement.tree
    held = f"version {tree.root.version}, {len(tree)} entries, {tree.content_size_bytes} bytes"
    if not examination.is_readable:
        return "nothing can be read of it"
    if examination.is_sound:
        return f"sound ({held})"
    return f"not sound; what has its place in the tree: {held}"


def show_entries(tree: Tree) -> None:
    """Print a table of all entries, by path."""
    table = Table(box=None, pad_edge=False)
    for name in ("inode", "version", "writer", "mtime", "type", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("path", overflow="fold")
    for path, entry in _by_path(tree):
        numbers = (entry.inode, entry.version, entry.writer, _time(entry.mtime))
        kind, size = ("dir", "") if entry.is_directory else ("file", str(entry.size))
        table.add_row(*map(str, numbers), kind, size, "/" + printable(path))
    out.print(table)


def entries_json(tree: Tree, *, with_content: bool) -> str:
    """Return what ``dump --json`` prints: an array of one object an entry, by path."""
    return json.dumps(
        [_entry_value(path, entry, with_content=with_content) for path, entry in _by_path(tree)]
    )


def _entry_value(path: bytes, entry: Entry, *, with_content: bool) -> dict[str, object]:
    value: dict[str, object] = {
        "path": printable(path),
        "path_hex": path.hex(),
        "type": "directory" if entry.is_directory else "file",
        "inode": entry.inode,
        "parent": entry.parent,
        "version": entry.version,
        "writer": entry.writer,
        "mtime": entry.mtime,
        "size": entry.size,
    }
    if with_content and not entry.is_directory:
        value["content_base64"] = base64.b64encode(entry.data).decode()
    return value


def show_differences(differences: Sequence[Difference], *, with_content: bool) -> None:
    """Print what differs between two trees, with the lines of texts."""
    for difference in differences:
        path = "/" + printable(difference.path)
        fields = ", ".join(
            f"{name} {getattr(difference.before, name)} -> {getattr(difference.after, name)}"
            for name in difference.fields
        )
        out.print(f"{_MARKS[difference.manner]} {path}" + (f"  ({fields})" if fields else ""))
        if with_content and difference.manner is not Manner.METADATA:
            _show_content(difference)


def _show_content(difference: Difference) -> None:
    sides = [side for side in (difference.before, difference.after) if side]
    if all(side.is_directory for side in sides):
        return
    lines = text_difference(difference)
    if lines is None:
        sizes = " -> ".join(f"{side.size} bytes" for side in sides)
        lines = [f"  not text: {sizes}"]
    for line in lines:
        out.print(line, style={"+": "green", "-": "red"}.get(line[:1]))


def differences_json(differences: Sequence[Difference]) -> str:
    """Return what ``diff --json`` prints: an array of one object a path."""
    return json.dumps(
        [
            {
                "path": printable(difference.path),
                "path_hex": difference.path.hex(),
                "manner": difference.manner,
                "fields": difference.fields,
            }
            for difference in differences
        ]
    )


def show_plan(repair: Repair, side: Path) -> None:
    """Print what a repair would do."""
    for sentence in repair.amendments:
        out.print(f"change   {sentence}")
    for misfit in repair.misfits:
        out.print(f"aside    {_described(misfit)}")
    for number, content in repair.lost_pages:
        if content:
            out.print(f"aside    page {number}, which could not be read as a whole")
        else:
            out.print(f"lost     page {number}, which is not in the file")
    tree = repair.tree
    out.print(f"keep     {len(tree)} entries, {tree.content_size_bytes} bytes")
    if repair.has_losses:
        out.print(
            f"What is put aside goes to {side}; nothing is deleted, nothing is done in place."
        )


def _described(misfit: Misfit) -> str:
    entry = misfit.entry
    what = "directory" if entry.is_directory else f"file of {entry.size} bytes"
    count = len(misfit.below)
    below = f", with {count} {'entry' if count == 1 else 'entries'} below it," if count else ""
    return f"inode {entry.inode} ('{printable(entry.name)}', {what}){below} {misfit.reason}"


def _by_path(tree: Tree) -> list[tuple[bytes, Entry]]:
    return sorted(((tree.path_of(entry.inode), entry) for entry in tree.entries()), key=_path_of)


def _path_of(item: tuple[bytes, Entry]) -> list[bytes]:
    return item[0].split(b"/")


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))
