"""Keeping what a failed test leaves behind: logs, views, databases and their dumps."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab

DATABASE_FILES = ("config.db", "config.db-wal")
COMMANDS = {
    "members": ["cat", "/etc/pve/.members"],
    "vmlist": ["cat", "/etc/pve/.vmlist"],
    "listing": ["ls", "-lR", "--full-time", "/etc/pve"],
    "processes": ["ps", "axf"],
    "quorum": ["corosync-quorumtool", "-s", "-i"],
    "corosync.conf": ["cat", "/etc/corosync/corosync.conf"],
}
COMMAND_WITHIN_S = 10.0


def save_evidence(lab: Lab, folder: Path) -> Path:
    """Save all that may explain a failure; what cannot be had is noted in its place.

    Args:
        lab: running, or what is left of it.
        folder: made if missing; one folder a node goes into it.

    Returns:
        the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _noting(folder / "status"):
        rows = [repr(row) for row in lab.statuses()]
        (folder / "status").write_text("\n".join([*rows, f"groups: {lab.groups()}", ""]))
    for node in lab.plan.names:
        _save_node(lab, node, folder / node)
    return folder


def _save_node(lab: Lab, node: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, path in lab.logs(node).items():
        shutil.copy(path, folder / f"{name.replace(' ', '-')}.log")
    for name, argv in COMMANDS.items():
        with _noting(folder / name):
            completed = lab.exec(node, *argv, timeout_s=COMMAND_WITHIN_S)
            (folder / name).write_bytes(completed.stdout + completed.stderr)
    _save_database(lab, node, folder)


def _save_database(lab: Lab, node: str, folder: Path) -> None:
    """Copy the files as they are, then dump the copy: the original is the daemon's alone."""
    for name in DATABASE_FILES:
        with _noting(folder / name):
            completed = lab.exec(node, "cat", f"/var/lib/pve-cluster/{name}")
            if completed.exit_status == 0:
                (folder / name).write_bytes(completed.stdout)
    dump = folder / "config.sql"
    try:
        dump.write_text("\n".join(_dump(folder / "config.db")))
    except sqlite3.Error as error:
        dump.write_text(f"-- no dump: {error}\n")


def _dump(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        yield from connection.iterdump()


@contextmanager
def _noting(path: Path) -> Iterator[None]:
    """Write why something could not be had to where it would have gone."""
    try:
        yield
    except LabError as error:
        path.write_text(f"not to be had: {error}\n")
