"""The texts that describe a node and its cluster, and the node's status as one line of JSON.

They are byte for byte in the reference's form, which is JSON laid out by hand, except where the
reference's would not be JSON; clients of the mount and of the IPC service get the same bytes.

Source: docs/PROTOCOL.md, "Status texts".
"""

import json
from dataclasses import dataclass
from itertools import islice

from pmxcfs import __version__
from pmxcfs.dfsm.modes import Mode
from pmxcfs.durable.promise import Promise
from pmxcfs.identity import Pid
from pmxcfs.memdb.guests import GuestList
from pmxcfs.memdb.index import tree_checksum
from pmxcfs.replica import Replica
from pmxcfs.status.entry import LogEntry
from pmxcfs.status.json_text import quoted, quoted_message
from pmxcfs.status.kvstore import Table
from pmxcfs.status.members import ClusterNode
from pmxcfs.status.state import ClusterStatus

LOG_FILE_ENTRIES = 50
"""How many entries ``.clusterlog`` shows."""


@dataclass(frozen=True, slots=True)
class Process:
    """The daemon's own identity: its process id and when it started (UNIX seconds)."""

    pid: Pid
    started_at_s: int


def version_text(replica: Replica, status: ClusterStatus, process: Process) -> bytes:
    """Return ``.version``: the counters by which clients notice what changed."""
    counters = [
        f'"starttime": {process.started_at_s},',
        f'"clinfo": {status.membership.version},',
        f'"vmlist": {replica.memdb.guests.version},',
        *(f'"{path.decode()}": {count},' for path, count in replica.memdb.counters.items()),
    ]
    return _lines("{", *counters, '"kvstore": {', ",\n".join(_value_versions(status)) + "}", "}")


def members_text(status: ClusterStatus, *, is_quorate: bool) -> bytes:
    """Return ``.members``: the nodes of the cluster, which of them are online, and where."""
    name = f'"nodename": {quoted(status.node_name)}'
    version, info = status.membership.version, status.membership.info
    if info is None or not info.nodes:
        return _lines("{", f"{name},", f'"version": {version}', "}")
    summary = (
        f'"cluster": {{ "name": {quoted(info.name)}, "version": {info.config_version}, '
        f'"nodes": {len(info.nodes)}, "quorate": {int(is_quorate)} }},'
    )
    nodes = [_node(node, status) for node in info.nodes]
    opening = ["{", f"{name},", f'"version": {version},', summary, '"nodelist": {']
    return _lines(*opening, ",\n".join(nodes), "  }", "}")


def clusterlog_text(
    status: ClusterStatus, entries_max: int = LOG_FILE_ENTRIES, ident: bytes = b""
) -> bytes:
    """Return ``.clusterlog``: what the nodes have logged, the newest first.

    Args:
        status: has the log.
        entries_max: how many entries at most.
        ident: only those of this user, if not empty.
    """
    shown = islice(status.log.entries(ident), entries_max)
    entries = ",\n".join(map(log_line, shown))
    return _lines("{", '"data": [', *([entries] if entries else []), "]", "}")


def rrd_text(status: ClusterStatus, now_s: int) -> bytes:
    """Return ``.rrd``: the latest metrics, one ``key:value`` a line."""
    return status.metrics.dump(now_s).text


def vmlist_text(replica: Replica) -> bytes:
    """Return ``.vmlist``: every guest with its node and its kind; made once for each change."""
    guests = replica.memdb.guests
    if guests.text is None:
        guests.text = _guests_text(guests)
    return guests.text


def _guests_text(guests: GuestList) -> bytes:
    entries = [
        f'"{guest.vmid}": {{ "node": "{guest.node}", "type": "{guest.kind}", '
        f'"version": {guest.version} }}'
        for guest in guests
    ]
    if not entries:
        return _lines("{", f'"version": {guests.version}', "", "}")
    return _lines(
        "{", f'"version": {guests.version},', '"ids": {', ",\n".join(entries) + "}", "", "}"
    )


def status_line(
    replica: Replica,
    status: ClusterStatus,
    process: Process,
    promise: Promise = Promise.THIS_NODE,
) -> bytes:
    """Return the state of this node as one line of JSON; ``promise`` is what fsync promises.

    Source: docs/LAB.md, "The status socket".
    """
    name_of = status.membership.name_of
    line = {
        "nodename": replica.node_name,
        "version": __version__,
        "pid": process.pid,
        "mode": "standalone" if replica.is_standalone else "cluster",
        "quorate": replica.is_quorate,
        "sync": sync_word(replica.mode),
        "members": [
            {"node_id": member.node_id, "pid": member.pid, "name": name_of(member.node_id)}
            for member in replica.members
        ],
        "awaiting": sorted(member.node_id for member in replica.awaiting),
        "leader": replica.leader,
        "database_failed": replica.has_failed,
        "fsync": promise.value,
        "tree_version": replica.memdb.tree.root.version,
        "tree_entries": len(replica.memdb.tree),
        "tree_checksum": tree_checksum(replica.memdb.tree).hex(),
    }
    return json.dumps(line).encode() + b"\n"


def log_line(entry: LogEntry) -> str:
    """Return one entry of the cluster log as a line of JSON."""
    return (
        f'{{"uid": {entry.uid}, "time": {entry.time_s}, "pri": {entry.priority}, '
        f'"tag": {quoted(entry.tag)}, "pid": {entry.pid}, "node": {quoted(entry.node)}, '
        f'"user": {quoted(entry.ident)}, "msg": {quoted_message(entry)}}}'
    )


def sync_word(mode: Mode) -> str:
    """Return what a mode is called in JSON."""
    return mode.name.lower().replace("_", "-")


def _value_versions(status: ClusterStatus) -> list[str]:
    """Return a piece of text for each node that has published values, ours first."""
    info, values = status.membership.info, status.values
    pieces = [_table(status.node_name, values.own)]
    for node in info.nodes if info is not None else ():
        table = values.of(node.node_id)
        if table is not None and node.name != status.node_name:
            pieces.append(_table(node.name, table))
    return pieces


def _table(node_name: str, table: Table) -> str:
    versions = [f"{quoted(key)}: {value.version}" for key, value in table.values.items()]
    return f"{quoted(node_name)}: {{\n" + ",\n".join(versions) + "}\n"


def _node(node: ClusterNode, status: ClusterStatus) -> str:
    is_online, ip = status.membership.is_online(node.node_id), status.membership.ip_of(node.name)
    address = f', "ip": {quoted(ip)}' if ip is not None else ""
    return f'  {quoted(node.name)}: {{ "id": {node.node_id}, "online": {int(is_online)}{address}}}'


def _lines(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()
