"""Who a client of the IPC service is, and what that lets it do.

Source: docs/PROTOCOL.md, "IPC"; docs/SECURITY.md.
"""

from typing import NamedTuple

ROOT_UID = 0
ROOT_GID = 0


class Client(NamedTuple):
    """A process that has connected, as the kernel describes it.

    ``buffer_bytes`` is what its largest request and our largest response may have.
    """

    pid: int
    uid: int
    gid: int
    buffer_bytes: int


def may_connect(uid: int, gid: int, group_gid: int) -> bool:
    """Whether a process with these ids may connect; ``group_gid`` is the gid of www-data."""
    return (uid, gid) == (ROOT_UID, ROOT_GID) or gid == group_gid


def is_read_only(client: Client, group_gid: int) -> bool:
    """Whether a client may only read, and not everything: all of the group, even root."""
    return client.gid == group_gid
