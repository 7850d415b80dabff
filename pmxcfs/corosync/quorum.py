"""Tells whether corosync sees a majority of the cluster, and which nodes it sees.

Source: docs/PROTOCOL.md, "corosync".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from pmxcfs._corosync import ffi, lib
from pmxcfs.corosync.handle import (
    Calls,
    Code,
    CorosyncError,
    Handle,
    callback_failed,
    check,
    note_received,
)
from pmxcfs.corosync.restarts import Timing
from pmxcfs.corosync.service import Watch
from pmxcfs.identity import NodeId

if TYPE_CHECKING:
    from pmxcfs._corosync import CData


@dataclass(frozen=True, slots=True)
class Notice:
    """What the quorum service says of a ring: whether it is quorate, and the nodes in it."""

    is_quorate: bool
    ring: frozenset[NodeId]


class QuorumHandle(Handle[Notice]):
    """A connection to the quorum service; dispatch returns a notice per change."""

    def __init__(self) -> None:
        super().__init__(
            Calls(
                "quorum",
                fd_get=lib.quorum_fd_get,
                dispatch=lib.quorum_dispatch,
                finalize=lib.quorum_finalize,
            )
        )
        self._has_provider = False

    def _initialize(self) -> int:
        handle, kind = ffi.new("quorum_handle_t *"), ffi.new("uint32_t *")
        callbacks = ffi.new("quorum_callbacks_t *", (lib.pmxcfs_quorum_notified,))
        check(lib.quorum_initialize(handle, callbacks, kind), "quorum_initialize")
        self._has_provider = kind[0] == lib.QUORUM_SET
        return int(handle[0])

    def _set_up(self, handle_id: int) -> None:
        """Ask for the present state and for every change of it."""
        if not self._has_provider:
            raise CorosyncError(Code.NOT_SUPPORTED, "quorum_initialize")
        check(lib.quorum_trackstart(handle_id, lib.CS_TRACK_CHANGES), "quorum_trackstart")


class QuorumWatch(Watch[QuorumHandle]):
    """Reports every change of quorum. We are not quorate until corosync says so.

    Args:
        sink: called with the new value, only when it has changed; the first value is False.
        timing: how patient to be; tests are less so.
        on_ring: called with the nodes of the ring whenever they were told, and with none when the
            connection is lost; before ``sink``.
    """

    def __init__(
        self,
        sink: Callable[[bool], None],
        timing: Timing | None = None,
        *,
        on_ring: Callable[[frozenset[NodeId]], None] = lambda ring: None,
    ) -> None:
        super().__init__("quorum", timing)
        self._sink = sink
        self._on_ring = on_ring
        self._is_quorate = False

    def _make_handle(self) -> QuorumHandle:
        return QuorumHandle()

    async def _listen(self, handle: QuorumHandle) -> None:
        while True:
            await trio.lowlevel.wait_readable(handle.fd)
            for notice in handle.dispatch():
                self._on_ring(notice.ring)
                self._report(notice.is_quorate)

    def _on_lost(self) -> None:
        self._on_ring(frozenset())
        self._report(is_quorate=False)

    def _report(self, is_quorate: bool) -> None:
        if is_quorate != self._is_quorate:
            self._is_quorate = is_quorate
            self._log.info("node has quorum" if is_quorate else "node lost quorum")
            self._sink(is_quorate)


@ffi.def_extern(onerror=callback_failed)
def pmxcfs_quorum_notified(
    handle: int, quorate: int, ring: int, view_size: int, view: "CData"
) -> None:
    """Keep whether we are quorate, and the nodes; our groups have processes as members."""
    nodes = frozenset(NodeId(int(view[index])) for index in range(view_size))
    note_received(Notice(bool(quorate), nodes))
