"""A connection to corosync's closed process groups: C calls in, group events out.

Source: docs/PROTOCOL.md, "corosync".
"""

import os
import select
from typing import TYPE_CHECKING

from pmxcfs._corosync import ffi, lib
from pmxcfs.corosync.handle import Calls, Handle, callback_failed, check, note_received
from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.identity import Member, NodeId, Pid

if TYPE_CHECKING:
    from pmxcfs._corosync import CData

CpgEvent = ConfigurationChange | Delivered


class CpgHandle(Handle[CpgEvent]):
    """A connection that can be a member of one group at a time.

    Attributes:
        me: how the group will know us; set by ``open``.
    """

    def __init__(self) -> None:
        super().__init__(
            Calls(
                "cpg", fd_get=lib.cpg_fd_get, dispatch=lib.cpg_dispatch, finalize=lib.cpg_finalize
            )
        )
        self.me = Member(NodeId(0), Pid(0))
        self._group: bytes | None = None
        self._unfragmented_bytes_max = 0
        self._writable = select.poll()

    def join(self, name: bytes) -> None:
        """Ask to become a member; the configuration change that lists us says when. Blocks.

        Args:
            name: the group's name with everything that belongs to it, a final NUL for example.

        Raises:
            CorosyncError: TRY_AGAIN while the ring is being formed.
        """
        with self._requests:
            check(lib.cpg_join(self._open_id("join"), _cpg_name(name)), "cpg_join")
            self._group = name

    def leave(self, name: bytes) -> None:
        """Ask to leave; the configuration change that no longer lists us says when. Blocks.

        Raises:
            CorosyncError: TRY_AGAIN while the ring is being formed.
        """
        with self._requests:
            check(lib.cpg_leave(self._open_id("leave"), _cpg_name(name)), "cpg_leave")
            self._group = None

    def multicast(self, data: bytes) -> None:
        """Send to all members in the agreed order. Blocks while corosync hangs.

        Corosync drops the message silently unless we have joined.

        Raises:
            CorosyncError: not sent; TRY_AGAIN while corosync has more than it can send.
        """
        with self._requests:
            self._multicast(data)

    def multicast_at_once(self, data: bytes) -> bool:
        """Send if that can be done without waiting, else return false. Never blocks.

        A send copies the message to a ring in shared memory, which corosync's answer to "is
        there room" guards, and then repeats to write one byte to a socket until that works. Only
        there it can hang, when corosync has stopped reading; a socket that is writable has room
        for that byte, and nobody else writes to it while we hold the lock. A message that
        needs more than one piece waits for answers in between, so it never goes this way.

        Raises:
            CorosyncError: not sent; TRY_AGAIN while corosync has more than it can send.
        """
        if len(data) > self._unfragmented_bytes_max or not self._requests.acquire(blocking=False):
            return False
        try:
            events = self._writable.poll(0)
            if not events or not events[0][1] & select.POLLOUT:
                return False
            self._multicast(data)
            return True
        finally:
            self._requests.release()

    def needs_pieces(self, data: bytes) -> bool:
        """Whether the library would send this message in pieces, waiting for each."""
        return len(data) > self._unfragmented_bytes_max

    def _multicast(self, data: bytes) -> None:
        handle_id = self._open_id("mcast_joined")
        buffer = ffi.from_buffer("char[]", data)
        iovec = ffi.new("struct iovec *", {"iov_base": buffer, "iov_len": len(data)})
        code = lib.cpg_mcast_joined(handle_id, lib.CPG_TYPE_AGREED, iovec, 1)
        check(code, "cpg_mcast_joined")

    def _initialize(self) -> int:
        handle = ffi.new("cpg_handle_t *")
        callbacks = ffi.new("cpg_callbacks_t *", (lib.pmxcfs_cpg_delivered, lib.pmxcfs_cpg_changed))
        check(lib.cpg_initialize(handle, callbacks), "cpg_initialize")
        return int(handle[0])

    def _set_up(self, handle_id: int) -> None:
        node_id, size = ffi.new("unsigned int *"), ffi.new("uint32_t *")
        check(lib.cpg_local_get(handle_id, node_id), "cpg_local_get")
        check(lib.cpg_max_atomic_msgsize_get(handle_id, size), "cpg_max_atomic_msgsize_get")
        self.me = Member(NodeId(int(node_id[0])), Pid(os.getpid()))
        self._unfragmented_bytes_max = int(size[0])
        self._writable.register(self.fd, select.POLLOUT)

    def _say_goodbye(self, handle_id: int) -> None:
        """Leave, so that the others see that we meant to go."""
        if self._group is not None:
            lib.cpg_leave(handle_id, _cpg_name(self._group))


def _cpg_name(name: bytes) -> "CData":
    if len(name) > lib.CPG_MAX_NAME_LENGTH:
        raise ValueError(f"a group's name has at most {lib.CPG_MAX_NAME_LENGTH} bytes: {name!r}")
    return ffi.new("struct cpg_name *", (len(name), name.ljust(lib.CPG_MAX_NAME_LENGTH, b"\0")))


@ffi.def_extern(onerror=callback_failed)
def pmxcfs_cpg_delivered(
    handle: int, group: "CData", node_id: int, pid: int, message: "CData", size_bytes: int
) -> None:
    """Keep a message."""
    note_received(Delivered(Member(NodeId(node_id), Pid(pid)), ffi.buffer(message, size_bytes)[:]))


@ffi.def_extern(onerror=callback_failed)
def pmxcfs_cpg_changed(
    handle: int,
    group: "CData",
    members: "CData",
    member_count: int,
    left: "CData",
    left_count: int,
    joined: "CData",
    joined_count: int,
) -> None:
    """Keep a configuration change."""
    note_received(
        ConfigurationChange(
            _members(members, member_count),
            _members(left, left_count),
            _members(joined, joined_count),
        )
    )


def _members(addresses: "CData", count: int) -> tuple[Member, ...]:
    return tuple(
        Member(NodeId(addresses[index].nodeid), Pid(addresses[index].pid)) for index in range(count)
    )
