"""The texts that describe a node: .version, .members, .vmlist, and its status as one line of JSON.

They are made from the replica's state and are byte for byte in the reference's form, which is JSON
laid out by hand; clients of the mount and of the IPC service get the same bytes.

Source: docs/PROTOCOL.md, "Status texts".
"""

import json
from dataclasses import dataclass

from pmxcfs import __version__
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import Pid
from pmxcfs.memdb.index import tree_checksum
from pmxcfs.replica import Replica


@dataclass(frozen=True, slots=True)
class Process:
    """The daemon's own identity: its process id and when it started (UNIX seconds)."""

    pid: Pid
    started_at_s: int


def version_text(replica: Replica, process: Process) -> bytes:
    """Return ``.version``: the counters by which clients notice what changed."""
    counters = [
        f'"starttime": {process.started_at_s},',
        f'"clinfo": {replica.membership.version},',
        f'"vmlist": {replica.memdb.guests.version},',
        *(f'"{path.decode()}": {count},' for path, count in replica.memdb.counters.items()),
    ]
    key_values = ['"kvstore": {', f'"{replica.node_name}": {{', "}", "}"]
    return _lines("{", *counters, *key_values, "}")


def members_text(replica: Replica) -> bytes:
    """Return ``.members``: the nodes of the cluster and which of them are online."""
    name, version = f'"nodename": "{replica.node_name}"', replica.membership.version
    info = replica.membership.info
    if info is None or not info.nodes:
        return _lines("{", f"{name},", f'"version": {version}', "}")
    summary = (
        f'"cluster": {{ "name": "{info.name}", "version": {info.config_version}, '
        f'"nodes": {len(info.nodes)}, "quorate": {int(replica.is_quorate)} }},'
    )
    nodes = [
        f'  "{node.name}": {{ "id": {node.node_id}, '
        f'"online": {int(replica.membership.is_online(node.node_id))}}}'
        for node in info.nodes
    ]
    opening = ["{", f"{name},", f'"version": {version},', summary, '"nodelist": {']
    return _lines(*opening, ",\n".join(nodes), "  }", "}")


def vmlist_text(replica: Replica) -> bytes:
    """Return ``.vmlist``: every guest with its node and its kind."""
    guests = replica.memdb.guests
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


def status_line(replica: Replica, process: Process) -> bytes:
    """Return the state of this node as one line of JSON.

    Source: docs/LAB.md, "The status socket".
    """
    name_of = replica.membership.name_of
    status = {
        "nodename": replica.node_name,
        "version": __version__,
        "pid": process.pid,
        "mode": "standalone" if replica.is_standalone else "cluster",
        "quorate": replica.is_quorate,
        "sync": _sync_word(replica.mode),
        "members": [
            {"node_id": member.node_id, "pid": member.pid, "name": name_of(member.node_id)}
            for member in replica.members
        ],
        "awaiting": sorted(member.node_id for member in replica.awaiting),
        "leader": replica.leader,
        "database_failed": replica.has_failed,
        "tree_version": replica.memdb.tree.root.version,
        "tree_entries": len(replica.memdb.tree),
        "tree_checksum": tree_checksum(replica.memdb.tree).hex(),
    }
    return json.dumps(status).encode() + b"\n"


def _sync_word(mode: Mode) -> str:
    return mode.name.lower().replace("_", "-")


def _lines(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()
