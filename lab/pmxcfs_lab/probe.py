"""What can be seen from inside one node: corosync's quorum, the daemon's status, the mounted tree.

Only the standard library and nothing of the lab's, so that any provider can run it on a node as
`python3 -m pmxcfs_lab.probe [--tree]`. It answers for every pmxcfs: ours has a status socket, of
another one we take what its mount shows.
"""

import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

STATUS_SOCKET = Path("/run/pve-cluster/status.sock")
MOUNT = Path("/etc/pve")

SOCKET_WITHIN_S = 3.0
QUORUMTOOL_WITHIN_S = 3.0

NOT_REPLICATED = frozenset(
    {
        *(".version", ".members", ".vmlist", ".rrd", ".clusterlog", ".debug"),
        *("local", "qemu-server", "lxc", "openvz"),
    }
)
"""Names at the mount's root that are views of the node's own, not entries of the tree."""


def look(*, with_tree: bool) -> dict[str, object]:
    """Return what the node shows, as a JSON value.

    Keys:
        corosync: {"quorate": bool, "members": [node id, ...]}, or None if it does not answer.
        daemon: the line of the status socket, or None.
        mount: {"quorate": bool, "members": {name: {"online": 0 or 1, ...}}}; None if not mounted.
        tree: {path: entry} as in `tree_entries`, only if with_tree; None if not mounted.
    """
    seen: dict[str, object] = {
        "corosync": corosync_quorum(),
        "daemon": daemon_status(),
        "mount": mount_status(),
    }
    if with_tree:
        seen["tree"] = tree_entries(MOUNT) if seen["mount"] is not None else None
    return seen


def corosync_quorum() -> dict[str, object] | None:
    """Return corosync's own view of the ring, or None if it does not run or answer."""
    try:
        completed = subprocess.run(
            ["corosync-quorumtool", "-s", "-i"],
            capture_output=True,
            text=True,
            timeout=QUORUMTOOL_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_quorumtool(completed.stdout)


def parse_quorumtool(text: str) -> dict[str, object] | None:
    """Read the output of `corosync-quorumtool -s`; None if it holds no status."""
    quorate = re.search(r"^Quorate:\s+(Yes|No)$", text, re.MULTILINE)
    if quorate is None:
        return None
    _, _, table = text.partition("Membership information")
    members = [int(number) for number in re.findall(r"^\s*(\d+)\s+\d+\s", table, re.MULTILINE)]
    return {"quorate": quorate[1] == "Yes", "members": members}


def daemon_status() -> dict[str, Any] | None:
    """Return what our daemon says of itself, or None if there is no such daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SOCKET_WITHIN_S)
        try:
            connection.connect(str(STATUS_SOCKET))
            line = connection.makefile("rb").readline()
            status: dict[str, Any] = json.loads(line)
        except (OSError, ValueError):
            return None
    return status


def mount_status() -> dict[str, object] | None:
    """Return what the mount shows without reading any file of the tree; None if not mounted.

    Source: the write bit of `local` is the public quorum indicator.
    """
    try:
        local = (MOUNT / "local").lstat()
        if not stat.S_ISLNK(local.st_mode):
            return None
        members = json.loads((MOUNT / ".members").read_text())
    except (OSError, ValueError):
        return None
    return {
        "quorate": bool(local.st_mode & stat.S_IWUSR),
        "members": members.get("nodelist", {}),
    }


def tree_entries(root: Path) -> dict[str, dict[str, object]]:
    """Return every replicated entry below root by path: mode, owner, size, time, content digest.

    An entry that vanishes while we look is left out; another look will find a quiet tree.
    """
    entries = {}
    for path in _walk(root):
        with suppress(FileNotFoundError):
            entries[str(path.relative_to(root))] = _entry(path)
    return entries


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        if folder == str(root):
            folders[:] = [name for name in folders if name not in NOT_REPLICATED]
            files = [name for name in files if name not in NOT_REPLICATED]
        for name in sorted(folders + files):
            yield Path(folder, name)


def _entry(path: Path) -> dict[str, object]:
    seen = path.lstat()
    entry: dict[str, object] = {
        "mode": oct(seen.st_mode),
        "uid": seen.st_uid,
        "gid": seen.st_gid,
        "size": seen.st_size,
        "mtime": int(seen.st_mtime),
    }
    if stat.S_ISREG(seen.st_mode):
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return entry


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(with_tree="--tree" in sys.argv)) + "\n")
