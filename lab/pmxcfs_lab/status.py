"""What the probes of all nodes mean: one row a node, and whether the lab has settled."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

EXITED = "exited "
"""How the word for a service begins that ended badly; its status follows."""

Tree = Mapping[str, Mapping[str, object]]
"""A node's replicated entries by path, as `probe.tree_entries` returns them."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node at one moment. None means that it could not be told.

    Attributes:
        name: the node.
        corosync: "up", "down", "exited N", or "no answer".
        pmxcfs: the same, or "no mount" while it runs without having mounted.
        quorate: what pmxcfs believes, which is what decides about writes.
        members: names of the nodes whose pmxcfs are in the group with it.
        sync: "synced", "update", ... as our daemon names it; None for another daemon.
        tree_version: of our daemon.
        leader: node id of whose tree our daemon's group took over last.
        fingerprint: equal on two nodes if, and only if, their trees are.
        fingerprint_kind: "checksum" (our daemon's) or "digest" (of everything in the mount).
    """

    name: str
    corosync: str = "down"
    pmxcfs: str = "down"
    quorate: bool | None = None
    members: tuple[str, ...] = ()
    sync: str | None = None
    tree_version: int | None = None
    fingerprint: str | None = None
    fingerprint_kind: str | None = None
    leader: int | None = None


def read_probe(name: str, seen: Mapping[str, object] | None) -> NodeStatus:
    """Return the row for what a probe saw; None stands for a node that gave no answer."""
    if seen is None:
        return NodeStatus(name, corosync="no answer", pmxcfs="no answer")
    services = cast("Mapping[str, Any]", seen["services"])
    corosync = _service_word(services["corosync"], is_answering=seen["corosync"] is not None)
    mount = cast("Mapping[str, Any] | None", seen["mount"])
    pmxcfs = _service_word(services["pmxcfs"], is_answering=mount is not None, silent="no mount")
    daemon = cast("Mapping[str, Any] | None", seen["daemon"])
    tree = cast("Tree | None", seen.get("tree"))
    if daemon is not None:
        return _of_our_daemon(name, corosync, pmxcfs, daemon, tree)
    if mount is not None:
        return _of_another(name, corosync, pmxcfs, mount, tree)
    return NodeStatus(name, corosync, pmxcfs)


def tree_digest(tree: Tree) -> str:
    """Return one digest over all entries' owners, sizes, times and contents.

    Modes are left out: they follow quorum, and a node without it may well have an equal tree.
    """
    entries = {
        path: {key: value for key, value in entry.items() if key != "mode"}
        for path, entry in tree.items()
    }
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def equality(statuses: Sequence[NodeStatus]) -> dict[str, bool | None]:
    """Tell for every node if its tree is the one that most nodes have; None if it shows none."""
    counted = Counter(status.fingerprint for status in statuses if status.fingerprint)
    if not counted:
        return dict.fromkeys((status.name for status in statuses), None)
    most_common = counted.most_common(1)[0][0]
    return {
        status.name: None if status.fingerprint is None else status.fingerprint == most_common
        for status in statuses
    }


def why_not_settled(
    statuses: Sequence[NodeStatus],
    together: Sequence[str],
    *,
    local: bool = False,
    busy: bool = False,
) -> str | None:
    """Return a sentence on what is still missing until these nodes work as one; None if nothing.

    Args:
        statuses: the rows of (at least) the nodes named in `together`.
        together: nodes that shall be quorate, in sync and equal, with no other member.
        local: the nodes stand alone; only their mounts count.
        busy: somebody writes meanwhile, so that no look finds the trees equal.
    """
    rows = [status for status in statuses if status.name in together]
    mute = {row.name for row in rows if row.sync is None}
    for row in rows:
        reason = _why_not_ready(row, together, mute, local=local)
        if reason is not None:
            return f"{row.name}: {reason}"
    absent = set(together) - {row.name for row in rows}
    if absent:
        return f"{', '.join(sorted(absent))}: not running"
    if local or busy:
        return None
    unknown = [row.name for row in rows if row.fingerprint is None]
    if unknown:
        return f"{unknown[0]}: its tree is not known yet"
    fingerprints = {row.name: row.fingerprint for row in rows}
    if len(set(fingerprints.values())) > 1:
        shown = ", ".join(f"{name} {str(value)[:8]}" for name, value in fingerprints.items())
        return f"the trees differ: {shown}"
    return None


def _why_not_ready(
    row: NodeStatus, together: Sequence[str], mute: Collection[str], *, local: bool
) -> str | None:
    """Judge one row; `mute` are the nodes whose daemon has no status socket.

    Such a daemon's mount names only members that take part in the status group too, so we can ask
    it for the others of its kind and for nobody who should be away.
    """
    if row.pmxcfs != "up":
        return f"pmxcfs {row.pmxcfs}"
    if local:
        return None
    if row.corosync != "up":
        return f"corosync {row.corosync}"
    if not row.quorate:
        return "not quorate"
    if row.sync not in (None, "synced"):
        return f"sync state {row.sync}"
    wanted = mute if row.sync is None else together
    if not set(wanted) <= set(row.members) <= set(together):
        return f"members are {', '.join(row.members) or 'nobody'}"
    return None


def _service_word(
    state: Mapping[str, int | None], *, is_answering: bool, silent: str = "no answer"
) -> str:
    if state["pid"] is not None:
        return "up" if is_answering else silent
    exit_status = state["exit_status"]
    return "down" if exit_status in (None, 0) else f"{EXITED}{exit_status}"


def _of_our_daemon(
    name: str, corosync: str, pmxcfs: str, daemon: Mapping[str, Any], tree: Tree | None
) -> NodeStatus:
    return NodeStatus(
        name,
        corosync,
        pmxcfs,
        quorate=daemon["quorate"],
        members=tuple(sorted(member["name"] for member in daemon["members"] if member["name"])),
        sync=daemon["sync"],
        tree_version=daemon["tree_version"],
        leader=daemon.get("leader"),
        fingerprint=daemon["tree_checksum"] if tree is None else tree_digest(tree),
        fingerprint_kind="checksum" if tree is None else "digest",
    )


def _of_another(
    name: str, corosync: str, pmxcfs: str, mount: Mapping[str, Any], tree: Tree | None
) -> NodeStatus:
    online = [node for node, facts in mount["members"].items() if facts["online"]]
    return NodeStatus(
        name,
        corosync,
        pmxcfs,
        quorate=mount["quorate"],
        members=tuple(sorted(online)),
        fingerprint=None if tree is None else tree_digest(tree),
        fingerprint_kind=None if tree is None else "digest",
    )
