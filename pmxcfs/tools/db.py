"""The command line of ``pmxcfs-db``."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pmxcfs.errors import StorageError
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools import rendering
from pmxcfs.tools.building import build
from pmxcfs.tools.checking import Examination, examine
from pmxcfs.tools.comparing import Manner, compare
from pmxcfs.tools.consoles import notes, out
from pmxcfs.tools.extracting import extract as extract_entries
from pmxcfs.tools.importing import read_directory
from pmxcfs.tools.manual import ABOUT, EXIT_DIFFERENT, EXIT_FAILURE, EXIT_SIGNAL, EXIT_USAGE
from pmxcfs.tools.problems import Severity, printable
from pmxcfs.tools.publishing import refuse_existing
from pmxcfs.tools.repairing import perform_repair, plan_repair, side_directory_of
from pmxcfs.tools.snapshots import restore as restore_snapshot
from pmxcfs.tools.snapshots import take_snapshot
from pmxcfs.tools.versions import add_version

app = typer.Typer(
    name="pmxcfs-db",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text is wrapped to the width of the terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_version(app, "pmxcfs-db")

DatabaseArgument = Annotated[Path, typer.Argument(metavar="DB", help="A config.db.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def check(database: DatabaseArgument, as_json: AsJson = False) -> None:
    """List everything that is wrong with a database.

    Each line begins with how bad it is: with "refused" the daemon does not start, "wrong" is
    something that should not be there but lets it start, "warning" is allowed and worth a look.
    The class of the problem follows, then a sentence. Status 1 means refused or wrong.

    \b
    What is looked at:
      the file      SQLite at all, complete, its pages and its log in order
      declarations  the one table, as it must be, and nothing else
      each row      storage types, known type, name, size, numbers up to the tree's
      all rows      version row, parents, rings, two of one name in a directory
      guests        a VM id twice, a file where a directory of guests belongs
      totals        128 MiB, 256 k entries

    \b
    Examples:
      pmxcfs-db check /var/lib/pve-cluster/config.db
      pmxcfs-db check --json config.db | jq -r '.problems[].kind'
    """
    examination = examine(database)
    if as_json:
        out.print(rendering.findings_json(database, examination))
    else:
        rendering.show_findings(database, examination)
        if _is_refused(examination) and examination.is_readable:
            notes.print(f"The daemon refuses it. Repair: pmxcfs-db repair {database} NEW")
    if not examination.is_readable:
        raise StorageError(f"nothing can be read of {database}")
    if not examination.is_sound:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def dump(
    database: DatabaseArgument,
    as_json: AsJson = False,
    content: Annotated[
        bool, typer.Option("--content", help="With --json: the files' content, as base64.")
    ] = False,
) -> None:
    """Print all entries as a table.

    By path, with inode, version, writer, time (UTC), type and size.

    \b
    Examples:
      pmxcfs-db dump config.db | grep qemu-server
      pmxcfs-db dump --json config.db | jq '.[] | select(.size > 100000) | .path'
    """
    tree = _tree_of(database)
    if as_json:
        out.print(rendering.entries_json(tree, with_content=content))
    else:
        rendering.show_entries(tree)


@app.command()
def extract(
    database: DatabaseArgument,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; made if it is missing.")
    ],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file or directory in the database.")
    ] = "",
) -> None:
    """Write the tree, or a part, to files.

    PATH is a directory, whose contents are written into DIR, or a file; without it all is written.

    Files get mode 0600, directories 0700, the times are those of the entries, the owner is you.
    A directory's contents need DIR to be empty; a single file never replaces one.

    \b
    Examples:
      pmxcfs-db extract config.db /tmp/pve
      pmxcfs-db extract config.db /tmp/guests nodes/pve1/qemu-server
      pmxcfs-db extract config.db . /etc/pve/storage.cfg
    """
    inner = os.fsencode(path).removeprefix(b"/etc/pve/").strip(b"/")
    count = sum(1 for _ in extract_entries(_tree_of(database), inner, directory))
    out.print(f"{count} files in {directory}")


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A config.db.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
    only_content: Annotated[
        bool,
        typer.Option("--only-content", help="Leave out inodes, versions, writers and times."),
    ] = False,
    brief: Annotated[bool, typer.Option("--brief", help="Paths only, no lines of texts.")] = False,
) -> None:
    """Show what differs between two databases.

    Status 1 if anything does.

    "+" is a path that only B has, "-" one that only A has, "M" one with another content, "m" one
    with another inode, version, writer or time only. Texts are followed by a unified diff.

    \b
    Examples:
      pmxcfs-db diff node1.db node2.db
      pmxcfs-db diff --only-content --brief yesterday.db /var/lib/pve-cluster/config.db
    """
    differences = [
        difference
        for difference in compare(_tree_of(first), _tree_of(second))
        if not (only_content and difference.manner is Manner.METADATA)
    ]
    if as_json:
        out.print(rendering.differences_json(differences))
    else:
        rendering.show_differences(differences, with_content=not brief)
    if differences:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def snapshot(
    database: DatabaseArgument,
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new file, or a directory to put it into.")
    ],
) -> None:
    """Copy a database, even while it is in use.

    The copy is one file with everything that is committed, all of one moment. In a directory it is
    called config.db.TIME (UTC).

    \b
    Examples:
      pmxcfs-db snapshot /var/lib/pve-cluster/config.db /root/before-upgrade.db
      pmxcfs-db snapshot /var/lib/pve-cluster/config.db /mnt/backup/
    """
    written = take_snapshot(database, target)
    out.print(f"{written} is a copy of {database}")
    _report_damage(written, examine(written))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="A sound database.")],
    database: Annotated[Path, typer.Argument(metavar="DB", help="Where it belongs.")],
) -> None:
    """Put a snapshot in place of a database.

    Its daemon must not run.

    The old database is kept as DB.TIME (UTC), with its log as DB.TIME-wal if it had one. A damaged
    SNAPSHOT is refused.

    In a cluster the highest version wins: a node that comes back with an older database takes over
    the state of the others. To go back with the whole cluster, stop pmxcfs on all nodes first,
    restore one, and move the databases of the others away.

    \b
    Example:
      systemctl stop pve-cluster
      pmxcfs-db restore /root/before-upgrade.db /var/lib/pve-cluster/config.db
      systemctl start pve-cluster
    """
    if not (examination := examine(source)).is_sound:
        rendering.show_findings(source, examination)
        raise StorageError(f"{source} is not sound, and not restored; see pmxcfs-db repair")
    kept = restore_snapshot(source, database)
    out.print(f"{database} is a copy of {source} now")
    if kept is not None:
        out.print(f"the old one is kept as {kept}")


@app.command()
def repair(
    database: DatabaseArgument,
    target: Annotated[Path, typer.Argument(metavar="NEW", help="The new database.")],
    is_confirmed: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done.")
    ] = False,
) -> None:
    """Make a sound database of a damaged one.

    DB is not changed; NEW is written after it was shown what that takes. What has no place in the
    new tree goes to the directory NEW.lost+found, as files that begin with their inode number, with
    report.json to say what each was and why.

    Of two entries with one name, number or VM id, the one with the higher version stays. What a
    missing directory or a file has in it, what is in itself, what has an impossible name, and what
    is larger than a file can be, is set aside. Rows in damaged pages are recovered as far as they
    can be read.

    After a loss the new tree has the time 0, so that in a cluster the tree of another node at the
    same version wins. If any other node has a sound database, don't use this one: let the node
    copy the other's by starting without a database.

    \b
    Examples:
      pmxcfs-db repair --dry-run config.db new.db
      pmxcfs-db repair config.db new.db
      pmxcfs-db restore new.db /var/lib/pve-cluster/config.db
    """
    refuse_existing(target)
    examination = examine(database)
    rendering.show_findings(database, examination)
    if not examination.is_readable:
        raise StorageError(f"nothing can be read of {database}")
    plan = plan_repair(examination)
    rendering.show_plan(plan, side_directory_of(target))
    if is_dry_run:
        return
    if not is_confirmed and not (sys.stdin.isatty() and typer.confirm(f"Write {target}?")):
        notes.print("Nothing is written; confirm it, or say --yes.")
        raise typer.Exit(EXIT_DIFFERENT)
    side = perform_repair(plan, target)
    out.print(f"{target} is written" + (f", and the rest to {side}" if side else ""))
    _report_damage(target, examine(target))


@app.command(name="import")
def import_directory(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What /etc/pve shall hold.")],
    database: Annotated[Path, typer.Argument(metavar="DB", help="The new database.")],
) -> None:
    """Make a new database of a directory tree.

    All files and directories are taken, however deep, with the present time and writer 0. What the
    daemon provides itself is left out: .members, .version, .vmlist, .clusterlog, .rrd, .debug, and
    the links local, qemu-server, lxc and openvz. If anything else can't be in a tree (links, files
    over 1 MiB, a VM id twice), all of that is listed and nothing is written.

    \b
    Examples:
      pmxcfs-db import /root/pve-backup config.db
      pmxcfs-db extract old.db tree && vi tree/corosync.conf && pmxcfs-db import tree new.db
    """
    refuse_existing(database)
    imported = read_directory(directory, now_s=int(time.time()))
    for path in imported.left_out:
        notes.print(f"left out, the daemon provides it: {printable(path)}")
    build(imported.tree, database)
    out.print(f"{database} has {len(imported.tree)} entries")


def _is_refused(examination: Examination) -> bool:
    return any(problem.severity is Severity.REFUSED for problem in examination.problems)


def _tree_of(database: Path) -> Tree:
    """Return the tree of a database, or what repair would make of it, with a word about that.

    Raises:
        StorageError: nothing can be read of it.
    """
    examination = examine(database)
    if not examination.is_readable:
        raise StorageError(f"nothing can be read of {database}; see pmxcfs-db check {database}")
    if examination.is_sound:
        return examination.placement.tree
    notes.print(
        f"{database} is not sound ({len(examination.problems)} findings, see pmxcfs-db check); "
        "this is what repair would make of it"
    )
    return plan_repair(examination).tree


def _report_damage(database: Path, examination: Examination) -> None:
    if not examination.is_sound:
        rendering.show_findings(database, examination)
        raise typer.Exit(EXIT_DIFFERENT)


@contextmanager
def _private_copies_removed_on_signals() -> Iterator[None]:
    """End like after an error when a terminal goes away, so that no copy of keys is left behind."""

    def end(number: int, frame: object) -> None:
        sys.exit(EXIT_SIGNAL + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        with _private_copies_removed_on_signals():
            app()
    except SystemExit as end:
        # Only a wrong command line ends typer with 2; what fails here raises something else.
        sys.exit(EXIT_USAGE if end.code == EXIT_FAILURE else end.code)
    except (StorageError, OSError) as error:
        notes.print(f"pmxcfs-db: {error}")
        sys.exit(EXIT_FAILURE)


if __name__ == "__main__":
    main()
