"""Who is who in a cluster: node ids, process ids and group members."""

from typing import NamedTuple, NewType

NodeId = NewType("NodeId", int)
"""A corosync node id (u32); 0 stands for "no cluster"."""

Pid = NewType("Pid", int)
"""A process id as corosync reports it."""

LOCAL_NODE_ID = NodeId(0)
"""The writer of every change made in standalone mode."""


class Member(NamedTuple):
    """One process in a closed process group. Two processes on one node are two members.

    Members order by node id, then by process id.
    """

    node_id: NodeId
    pid: Pid
