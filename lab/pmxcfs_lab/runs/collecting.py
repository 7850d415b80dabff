"""What is brought home from the nodes once the traffic is over: final.json, logs and databases."""

import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from pmxcfs_lab.runs.final import VALUES_OF, Exit, Final, NodeAtTheEnd
from pmxcfs_lab.runs.folder import RunWriter

SETTLED_WITHIN_S = 120.0
STATE = "/var/lib/pve-cluster"
DATABASE_FILES = ("config.db", "config.db-wal")
VALUES = "pmxcfs_lab.runs.clients.values"

TREE = "SELECT path, hex(data), type FROM files ORDER BY path"
ROWS = "SELECT inode, parent, version, writer, mtime, type, name, data FROM tree ORDER BY inode"


def bring_home(
    lab: Lab, writer: RunWriter, keys: Sequence[str], began_s: float, exits: Sequence[Exit]
) -> Final:
    """Wait until the nodes work as one, look at all of them, end the daemons, copy what they left.

    Args:
        lab: all faults healed, no traffic.
        writer: has the folders.
        keys: of published values.
        began_s: when the run began, by the monotonic clock.
        exits: for `Final`.
    """
    not_settled = _why_not_settled(lab)
    t = round(time.monotonic() - began_s, 3)
    names = lab.plan.names
    with ThreadPoolExecutor(len(names)) as pool:
        nodes = dict(zip(names, pool.map(lambda name: _shown(lab, name, keys), names), strict=True))
        late = [found for found in pool.map(lambda name: _end(lab, name), names) if found]
    for name in names:
        folder = writer.node_folder(name)
        _copy_logs(lab, name, folder)
        rows, kept = _databases(lab, name, folder)
        nodes[name] = replace(nodes[name], rows=rows, kept=kept)
    return Final(t, nodes, tuple(exits), not_settled or "; ".join(late) or None)


def _why_not_settled(lab: Lab) -> str | None:
    try:
        lab.wait(within_s=SETTLED_WITHIN_S)
    except LabError as error:
        return str(error)
    return None


def _shown(lab: Lab, node: str, keys: Sequence[str]) -> NodeAtTheEnd:
    try:
        tree = {path: dict(entry) for path, entry in lab.trees([node])[node].items()}
        return NodeAtTheEnd(tree, _views(lab, node, keys), _started_at(lab, node))
    except (LabError, AssertionError) as error:
        return NodeAtTheEnd(views={"what it shows": str(error)})


def _views(lab: Lab, node: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the texts that all nodes must show alike, without what is each node's own."""
    guests = json.loads(lab.exec(node, "cat", "/etc/pve/.vmlist").stdout or b"{}").get("ids", {})
    members = json.loads(lab.exec(node, "cat", "/etc/pve/.members").stdout or b"{}")
    owners = {vmid: guest["node"] for vmid, guest in guests.items()}
    online = {name: seen["online"] for name, seen in members.get("nodelist", {}).items()}
    views = {
        ".vmlist": json.dumps(owners, sort_keys=True),
        ".members": json.dumps(online, sort_keys=True),
    }
    if keys:
        for name in lab.plan.names:
            found = lab.exec(node, lab.python, "-m", VALUES, *keys, "--", name)
            if found.exit_status != 0:
                raise LabError(f"{node} tells no values: {found.stderr.decode().strip()}")
            views[VALUES_OF.format(node=name)] = found.stdout.decode()
    return views


def _started_at(lab: Lab, node: str) -> float:
    version = json.loads(lab.exec(node, "cat", "/etc/pve/.version").stdout)
    return float(version["starttime"])


def _end(lab: Lab, node: str) -> str | None:
    try:
        lab.stop(node, [Service.PMXCFS])
    except LabError as error:
        return str(error)
    return None


def _copy_logs(lab: Lab, node: str, folder: Path) -> None:
    for name, path in lab.logs(node).items():
        shutil.copy(path, folder / f"{name.replace(' ', '-')}.log")


def _databases(lab: Lab, node: str, folder: Path) -> tuple[str | None, dict[str, dict[str, str]]]:
    """Copy the database and the trees that were kept; return the digest of its rows, and theirs."""
    listed = lab.exec(node, "ls", STATE).stdout.decode().split()
    kept = [name for name in listed if ".lost-" in name and not name.endswith(("-wal", "-shm"))]
    for name in (*DATABASE_FILES, *kept):
        if name in listed:
            found = lab.exec(node, "cat", f"{STATE}/{name}")
            (folder / name).write_bytes(found.stdout)
    database = folder / DATABASE_FILES[0]
    digest = None
    if database.exists():
        digest = hashlib.sha256(
            repr([_judged(row) for row in _rows(database)]).encode()
        ).hexdigest()
    return digest, {name: _files(_rows(folder / name)) for name in kept}


def _rows(database: Path) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(database)) as connection:
            return list(connection.execute(ROWS))
    except sqlite3.Error as error:
        return [(-1, str(error))]


def _judged(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row as it must be on all nodes: the kind of the version's row is each node's own."""
    return row if row[0] != 0 else (*row[:5], *row[6:])


def _files(rows: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    """Return the digests of all files in a database, by path."""
    names: Mapping[int, tuple[int, str]] = {
        row[0]: (row[1], str(row[6])) for row in rows if row[0] > 0
    }
    found = {}
    for row in rows:
        if row[0] > 0 and row[5] == REGULAR:
            found[_path(row[0], names)] = hashlib.sha256(row[7] or b"").hexdigest()
    return found


def _path(inode: int, names: Mapping[int, tuple[int, str]]) -> str:
    parts: list[str] = []
    while inode in names and len(parts) < len(names):
        inode, name = names[inode]
        parts.append(name)
    return "/".join(reversed(parts))


REGULAR = 8
"""`type` of a file's row. Source: docs/PROTOCOL.md, "Database"."""
