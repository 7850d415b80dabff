"""The links, status files and the switch at the root of the mount.

Source: docs/PROTOCOL.md, "Status texts".
"""

from collections.abc import Callable

from pmxcfs import views
from pmxcfs.fuse.virtual_files import VirtualObject, debug_switch, node_links, read_only
from pmxcfs.logs import DebugSwitch
from pmxcfs.replica import Replica
from pmxcfs.status.state import ClusterStatus


def status_files(
    replica: Replica,
    status: ClusterStatus,
    process: views.Process,
    switch: DebugSwitch,
    now_s: Callable[[], int],
) -> list[VirtualObject]:
    """Return what stands at the root beside the tree, in the order of listings."""
    return [
        *node_links(replica.node_name),
        read_only(b".version", lambda: views.version_text(replica, status, process)),
        read_only(b".members", lambda: views.members_text(status, is_quorate=replica.is_quorate)),
        read_only(b".vmlist", lambda: views.vmlist_text(replica)),
        read_only(b".clusterlog", lambda: views.clusterlog_text(status)),
        read_only(b".rrd", lambda: views.rrd_text(status, now_s())),
        debug_switch(lambda: switch.is_on, switch.turn),
    ]
