"""``pmxcfs-ctl history``, ``show``, ``diff`` and ``undo``: what the history of changes tells.

They read the file beside the database, so they work without a running daemon too; only root can.
"""

import difflib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pmxcfs.chronicle.reading import History, Recorded, UnknownRevisionError, reading
from pmxcfs.chronicle.schema import ForeignHistoryError
from pmxcfs.options import HISTORY_NAME, MOUNTPOINT, STATE_DIR
from pmxcfs.tools.consoles import notes, out

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
StateDir = Annotated[
    Path, typer.Option("--state-dir", metavar="DIR", help="The daemon's --state-dir.")
]
MountPoint = Annotated[
    Path, typer.Option("--mountpoint", metavar="DIR", help="The daemon's --mountpoint.")
]
FileArgument = Annotated[
    str, typer.Argument(metavar="PATH", help="A file, below the mount or as in the tree.")
]


class HistoryError(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def history(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, or a directory and all below it.")
    ] = "",
    count: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=100_000, help="How many changes to show.")
    ] = 50,
    as_json: AsJson = False,
    state_dir: StateDir = STATE_DIR,
    mountpoint: MountPoint = MOUNTPOINT,
) -> None:
    """List what was changed, when, and where.

    The last change comes last. Of a single file the lines are its revisions, which show, diff and
    undo take. The daemon keeps a history if it was started with --history.

    \b
    Examples:
      pmxcfs-ctl history /etc/pve/nodes/pve1/qemu-server/100.conf
      pmxcfs-ctl history -n 200 nodes/pve1
      pmxcfs-ctl history --json user.cfg | jq -r .action
    """
    inner = _inner(path, mountpoint)
    with _opened(state_dir) as opened:
        changes = list(reversed(opened.changes(inner, count)))
        if inner and not any(_is_below(change, inner) for change in changes):
            changes = opened.revisions(inner)[-count:]
    for change in changes:
        if as_json:
            sys.stdout.write(json.dumps(_as_json(change)) + "\n")
        else:
            out.print(_line(change))
    if not changes and not as_json:
        notes.print("Nothing is recorded of this.")


def show(
    path: FileArgument,
    revision: Annotated[
        int | None, typer.Argument(metavar="[REVISION]", help="Default: the last one.")
    ] = None,
    state_dir: StateDir = STATE_DIR,
    mountpoint: MountPoint = MOUNTPOINT,
) -> None:
    """Print a file as it was after a revision.

    \b
    Example:
      pmxcfs-ctl show nodes/pve1/qemu-server/100.conf 4711
    """
    with _opened(state_dir) as opened:
        found = _revision(opened, _inner(path, mountpoint), revision)
        if found.digest is None:
            raise HistoryError(f"after revision {found.revision} there was no such file")
        content = opened.content(found.digest)
    sys.stdout.buffer.write(content)


def diff(
    path: FileArgument,
    old: Annotated[
        int | None,
        typer.Argument(metavar="[FROM]", help="A revision. Default: before the last one."),
    ] = None,
    new: Annotated[
        int | None, typer.Argument(metavar="[TO]", help="A revision. Default: the last one.")
    ] = None,
    state_dir: StateDir = STATE_DIR,
    mountpoint: MountPoint = MOUNTPOINT,
) -> None:
    """Show what changed in a file.

    Between two revisions, or with the last one.

    \b
    Examples:
      pmxcfs-ctl diff storage.cfg
      pmxcfs-ctl diff storage.cfg 120 188
    """
    inner = _inner(path, mountpoint)
    with _opened(state_dir) as opened:
        last = _revision(opened, inner, new)
        before = last.replaced if old is None else _revision(opened, inner, old).digest
        texts = [_content(opened, digest) for digest in (before, last.digest)]
    _print_diff(inner, *texts)


def undo(
    path: FileArgument,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="REVISION", help="As it was after this one."),
    ] = None,
    is_agreed: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    state_dir: StateDir = STATE_DIR,
    mountpoint: MountPoint = MOUNTPOINT,
) -> None:
    """Take the last change of a file back.

    Or write the file as it was after a revision.

    This is an ordinary write through the mount: it needs quorum, it is recorded like any other
    change, and another undo takes it back. What would change is shown first.

    \b
    Examples:
      pmxcfs-ctl undo /etc/pve/storage.cfg
      pmxcfs-ctl undo --to 4711 --yes nodes/pve1/qemu-server/100.conf
    """
    inner = _inner(path, mountpoint)
    with _opened(state_dir) as opened:
        last = _revision(opened, inner, None)
        wanted = last.replaced if to is None else _revision(opened, inner, to).digest
        if wanted is None:
            raise HistoryError(
                f"there was no such file then; to remove it: rm {mountpoint / os.fsdecode(inner)}"
            )
        content = opened.content(wanted)
    place = mountpoint / os.fsdecode(inner)
    present = place.read_bytes() if place.is_file() else b""
    if present == content and place.is_file():
        out.print(f"{place} is like that already")
        return
    _print_diff(inner, present, content)
    if not is_agreed and not typer.confirm(f"write {place}?", err=True):
        raise typer.Exit(1)
    _replace(place, content)
    out.print(f"{place} is as it was")


def _is_below(change: Recorded, path: bytes) -> bool:
    return any((place or b"").startswith(path + b"/") for place in (change.path, change.target))


def _inner(path: str, mountpoint: Path) -> bytes:
    """Return the path in the tree of what was given as a path below the mount, or in the tree."""
    inner = path.removeprefix(str(mountpoint)) if path.startswith("/") else path
    return b"/".join(part for part in os.fsencode(inner).split(b"/") if part)


@contextmanager
def _opened(state_dir: Path) -> Iterator[History]:
    path = state_dir / HISTORY_NAME
    try:
        with reading(path) as opened:
            yield opened
    except FileNotFoundError:
        raise HistoryError(
            f"no history is kept in {state_dir}: start pmxcfs with --history 256, for example "
            "in DAEMON_OPTS in /etc/default/pmxcfs"
        ) from None
    except UnknownRevisionError as error:
        raise HistoryError(str(error)) from error
    except PermissionError:
        raise HistoryError(f"only root may read {path}") from None
    except ForeignHistoryError as error:
        raise HistoryError(f"{path} cannot be read: {error}") from error


def _revision(opened: History, path: bytes, number: int | None) -> Recorded:
    found = opened.revisions(path)
    if not found:
        raise HistoryError(f"nothing is recorded of {os.fsdecode(path)}")
    if number is None:
        return found[-1]
    for item in found:
        if item.revision == number:
            return item
    raise HistoryError(
        f"{os.fsdecode(path)} has no revision {number}; "
        f"the first is {found[0].revision}, the last {found[-1].revision}"
    )


def _content(opened: History, digest: bytes | None) -> bytes:
    return b"" if digest is None else opened.content(digest)


def _print_diff(path: bytes, old: bytes, new: bytes) -> None:
    name = os.fsdecode(path)
    before, after = (text.decode(errors="replace").splitlines(True) for text in (old, new))
    for line in difflib.unified_diff(before, after, f"{name} (before)", f"{name} (after)"):
        sys.stdout.write(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    sys.stdout.flush()


def _replace(place: Path, content: bytes) -> None:
    """Write a file as the management tools do: beside its place, then renamed onto it."""
    beside = place.with_name(f"{place.name}.undo.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.rename(place)
    except OSError as error:
        if beside.exists():
            beside.unlink()
        raise HistoryError(
            f"cannot write {place}: {error.strerror}. If the node takes no changes, "
            "pmxcfs-ctl explain says why"
        ) from error


def _line(change: Recorded) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.time_s))
    if change.action == "missed":
        return f"{change.revision:>8}  {when}  {change.size} changes are missing here"
    who = "-" if change.writer is None else f"node {change.writer}"
    names = os.fsdecode(change.path)
    if change.target is not None:
        names += f" -> {os.fsdecode(change.target)}"
    size = "" if change.size is None else f"  {change.size} bytes"
    digest = "" if change.digest is None else f"  {change.digest.hex()[:12]}"
    mark = "  [sync]" if change.is_sync else ""
    return f"{change.revision:>8}  {when}  {who}  {change.action:<6}  {names}{size}{digest}{mark}"


def _as_json(change: Recorded) -> dict[str, object]:
    return {
        "revision": change.revision,
        "time_s": change.time_s,
        "tree_version": change.version,
        "node_id": change.writer,
        "action": change.action,
        "path": change.path.decode(errors="replace"),
        "target": None if change.target is None else change.target.decode(errors="replace"),
        "size": change.size,
        "is_sync": change.is_sync,
        "sha256": None if change.digest is None else change.digest.hex(),
        "sha256_before": None if change.replaced is None else change.replaced.hex(),
    }
