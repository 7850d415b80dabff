"""Putting a database onto a node before its first start.

A cluster needs `corosync.conf` in the tree, and a recorded database may lack it or hold another
cluster's. We do what an administrator does who makes a cluster out of a single host: start the
daemon alone (`pmxcfs -l`), write the file through the mount, stop the daemon. So the daemon itself
makes the change, with its own version, inode and time; nobody edits the database from outside.
"""

import time
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.provider import Provider, Service

DATABASE = "/var/lib/pve-cluster/config.db"
MAGIC = b"SQLite format 3\0"

MOUNTED_WITHIN_S = 20.0
STOPPED_WITHIN_S = 20.0
POLL_S = 0.05

WRITE_AS_TOOLS_DO = (
    "cat > /etc/pve/corosync.conf.new && mv /etc/pve/corosync.conf.new /etc/pve/corosync.conf"
)


def check_database(path: Path) -> None:
    """Refuse what cannot be a database, before anything is built.

    Raises:
        LabError: no such file, or not SQLite's.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise LabError(f"The database {path} cannot be read ({error.strerror}).") from error
    if head != MAGIC:
        raise LabError(f"{path} is no SQLite database.", "A config.db is wanted, not a dump of it.")


def seed(provider: Provider, node: str, database: Path, corosync_conf: str | None) -> None:
    """Put a copy of the database, and of its -wal if there is one, onto a node without services.

    Args:
        provider: has the node.
        node: whose pmxcfs has never run.
        database: a config.db on this machine.
        corosync_conf: text that the tree shall hold as /corosync.conf; None leaves it as it is.

    Raises:
        LabError: the daemon does not serve this database.
    """
    _put(provider, node, DATABASE, database.read_bytes())
    wal = database.with_name(database.name + "-wal")
    if wal.exists():
        _put(provider, node, DATABASE + "-wal", wal.read_bytes())
    if corosync_conf is not None:
        _write_through_the_mount(provider, node, corosync_conf)


def wait_until_mounted(provider: Provider, node: str) -> None:
    """Return when the node's pmxcfs serves its mount.

    Raises:
        LabError: it ended, or took longer than MOUNTED_WITHIN_S.
    """
    deadline_s = time.monotonic() + MOUNTED_WITHIN_S
    while True:
        seen = provider.probe(node, with_tree=False)
        if seen["mount"] is not None:
            return
        services = seen["services"]
        ended = isinstance(services, dict) and services[Service.PMXCFS]["pid"] is None
        if ended or time.monotonic() > deadline_s:
            raise LabError(
                f"{node}: pmxcfs {'ended' if ended else 'did not mount'}.",
                f"`pmxcfs-lab logs {node}` shows what it said.",
            )
        time.sleep(POLL_S)


def _write_through_the_mount(provider: Provider, node: str, text: str) -> None:
    provider.start(node, Service.PMXCFS, local=True)
    wait_until_mounted(provider, node)
    completed = provider.exec(node, ["sh", "-c", WRITE_AS_TOOLS_DO], stdin=text.encode())
    if completed.exit_status != 0:
        raise LabError(f"{node}: corosync.conf was refused: {completed.stderr.decode().strip()}")
    provider.stop(node, Service.PMXCFS, within_s=STOPPED_WITHIN_S)


def _put(provider: Provider, node: str, path: str, content: bytes) -> None:
    write = ["sh", "-c", 'umask 077; cat > "$1"', "sh", path]
    completed = provider.exec(node, write, stdin=content)
    if completed.exit_status != 0:
        raise LabError(f"{node}: {path} not written: {completed.stderr.decode().strip()}")
