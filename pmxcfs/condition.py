"""Everything that people ask about this node's state, as one value that JSON can carry.

It is read off what the daemon knows in memory: nothing here waits for the mount, for the group, for
corosync or for the disk.

Source: docs/OPERATIONS.md, "What pmxcfs-ctl prints for programs".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pmxcfs import __version__
from pmxcfs.callers import CALLERS_MAX
from pmxcfs.dcdb import DiskState
from pmxcfs.driver import Driver
from pmxcfs.durable_driver import FsyncWait
from pmxcfs.identity import NodeId
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX, ENTRIES_MAX
from pmxcfs.memdb.locks import LOCK_LIFETIME_S
from pmxcfs.replica import Replica
from pmxcfs.status.members import ClusterNode, Membership
from pmxcfs.status_driver import StatusDriver
from pmxcfs.views import Process, sync_word
from pmxcfs.waits.stalls import Waiting

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """What the disk says of the database: sizes and free space in bytes, and what lies beside it.

    ``answers`` is false if it said nothing in time.
    """

    answers: bool = False
    size_bytes: int | None = None
    wal_bytes: int | None = None
    free_bytes: int | None = None
    kept_trees: tuple[str, ...] = ()
    unshared_since: int | None = None
    restart_flag: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What had to be asked for, since memory does not have it.

    Attributes:
        files: what the disk said just now.
        answers: which members of the durability group answered just now.
        fsync: who waits in fsync.
    """

    files: Files = Files()
    answers: Mapping[NodeId, bool] = field(default_factory=dict)
    fsync: FsyncWait | None = None


def condition(
    driver: Driver,
    status: StatusDriver,
    process: Process,
    database: Path,
    asked: Asked,
    now_s: int,
    *,
    sees_private: bool,
) -> Value:
    """Return the state of this node.

    Args:
        driver: of the tree.
        status: what is known of the cluster.
        process: this daemon.
        database: where it is.
        asked: what was asked for just now.
        now_s: UNIX seconds.
        sees_private: whether who asks may see the names of locks.
    """
    replica, membership = driver.replica, status.node.status.membership
    files = asked.files
    return {
        "node": replica.node_name,
        "software": __version__,
        "pid": process.pid,
        "started_s": process.started_at_s,
        "now_s": now_s,
        "mode": "standalone" if replica.is_standalone else "cluster",
        "writable": replica.refusal is None and driver.waiting is None,
        "quorum": {"quorate": replica.is_quorate, "since_s": replica.moments.since_s("quorum")},
        "sync": _sync(replica, status),
        "cluster": _cluster(membership),
        "members": [_member(node, replica, status, asked, now_s) for node in _nodes(membership)],
        "tree": _tree(replica),
        "database": _database(driver, database, files),
        "locks": _locks(replica, membership, now_s, sees_private=sees_private),
        "waits": [*_waits(driver, status, asked.fsync, now_s)],
        "queue": {
            "callers": driver.caller_count,
            "callers_max": CALLERS_MAX,
            "held_back": replica.held,
            "behind_database": driver.queued,
            "for_quorum": replica.put_off,
        },
        "kept_trees": files.kept_trees,
        "unshared_since": files.unshared_since,
        "restart_flag": files.restart_flag,
    }


def _sync(replica: Replica, status: StatusDriver) -> Value:
    return {
        "mode": sync_word(replica.mode),
        "since_s": replica.moments.since_s("sync"),
        "stuck": replica.is_stuck,
        "leader": replica.leader,
        "status_group": None if replica.is_standalone else sync_word(status.node.mode),
    }


def _cluster(membership: Membership) -> Value | None:
    info = membership.info
    if info is None:
        return None
    return {
        "name": info.name,
        "config_version": info.config_version,
        "votes": info.votes,
        "votes_needed": info.votes // 2 + 1,
    }


def _nodes(membership: Membership) -> Sequence[ClusterNode]:
    return membership.info.nodes if membership.info is not None else ()


def _member(
    node: ClusterNode, replica: Replica, status: StatusDriver, asked: Asked, now_s: int
) -> Value:
    membership = status.node.status.membership
    ip = membership.ip_of(node.name)
    measured_s = status.node.status.measured_s.get(node.name)
    pids = [member.pid for member in replica.members if member.node_id == node.node_id]
    return {
        "node_id": node.node_id,
        "name": node.name,
        "is_this_node": node.name == replica.node_name,
        "ip": None if ip is None else ip.decode(errors="replace"),
        "votes": node.votes,
        "in_ring": node.node_id in replica.ring,
        "in_group": bool(pids),
        "pid": pids[0] if pids else None,
        "in_status_group": membership.is_online(node.node_id),
        "awaited": any(member.node_id == node.node_id for member in replica.awaiting),
        "answers": asked.answers.get(node.node_id),
        "metrics_age_s": None if measured_s is None else max(0, now_s - measured_s),
    }


def _tree(replica: Replica) -> Value:
    tree = replica.memdb.tree
    return {
        "version": tree.root.version,
        "mtime_s": tree.root.mtime,
        "entries": len(tree),
        "entries_max": ENTRIES_MAX,
        "bytes": tree.content_size_bytes,
        "bytes_max": CONTENT_BYTES_MAX,
    }


def _database(driver: Driver, path: Path, files: Files) -> Value:
    disk = driver.replica.disk
    state = "waiting" if driver.waiting is not None else disk.name.lower()
    reason = driver.waiting.error if driver.waiting is not None else driver.storage_refusal
    since_s = driver.replica.moments.since_s("disk")
    sizes = asdict(files)
    return {
        "path": str(path),
        "state": state,
        "since_s": driver.waiting.since_s if driver.waiting is not None else since_s,
        "reason": None if reason is None or state == "writable" else str(reason),
        "is_final": disk is DiskState.FAILED,
        **{key: sizes[key] for key in ("answers", "size_bytes", "wal_bytes", "free_bytes")},
    }


def _locks(replica: Replica, membership: Membership, now_s: int, *, sees_private: bool) -> Value:
    ages = list(replica.memdb.locks.ages(now_s))
    held = [_lock(path, age_s, replica, membership) for path, age_s in ages if sees_private]
    return {"count": len(ages), "lifetime_s": LOCK_LIFETIME_S, "held": held}


def _lock(path: bytes, age_s: int, replica: Replica, membership: Membership) -> Value:
    entry = replica.memdb.tree.find(path)
    writer = None if entry is None else entry.writer
    holder = node_name(writer, replica, membership)
    text = path.decode(errors="replace")
    return {"path": text, "holder": holder, "node_id": writer, "age_s": age_s}


def node_name(node_id: int | None, replica: Replica, membership: Membership) -> str | None:
    """Return what a writer of the tree is called; None if nobody knows."""
    if node_id == 0 or (replica.is_standalone and node_id is not None):
        return replica.node_name if node_id == 0 else f"node {node_id}"
    return next((node.name for node in _nodes(membership) if node.node_id == node_id), None)


def _waits(
    driver: Driver, status: StatusDriver, fsync: FsyncWait | None, now_s: int
) -> Iterable[Value]:
    groups = (("tree", driver.replica.waiting), ("status", status.node.waiting))
    for who, waiting in () if driver.replica.is_standalone else groups:
        if waiting is not None:
            yield _wait(who, waiting)
    if driver.waiting is not None:
        yield {
            "who": "database",
            "kind": "disk",
            "what": str(driver.waiting.error),
            "waits_for": ["our database"],
            "waited_s": max(0, now_s - driver.waiting.since_s),
        }
    if fsync is not None:
        yield {
            "who": "fsync",
            "kind": "durability",
            "what": "what was written is to survive a loss of power",
            "callers": fsync.callers,
            "waits_for": list(fsync.waits_for),
            "waited_s": round(fsync.waited_s, 1),
        }


def _wait(who: str, waiting: Waiting) -> Value:
    return {
        "who": who,
        "kind": waiting.kind.name.lower(),
        "what": waiting.kind.value,
        "waits_for": list(waiting.waits_for),
        "waited_s": round(waiting.waited_s, 1),
    }
