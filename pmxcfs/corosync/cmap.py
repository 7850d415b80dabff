"""Reads the cluster's name and nodes from corosync's configuration map, again on every change.

Source: docs/PROTOCOL.md, "corosync".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from pmxcfs._corosync import ffi, lib
from pmxcfs.corosync.handle import (
    Calls,
    Code,
    Handle,
    ask_in_time,
    callback_failed,
    check,
    note_received,
)
from pmxcfs.corosync.restarts import Timing
from pmxcfs.corosync.service import Watch
from pmxcfs.identity import NodeId
from pmxcfs.status.members import ClusterInfo, ClusterNode

if TYPE_CHECKING:
    from pmxcfs._corosync import CData

NODE_PREFIX = "nodelist.node."
CLUSTER_NAME_KEY = "totem.cluster_name"
CONFIG_VERSION_KEY = "totem.config_version"
QUORUM_PREFIX = "quorum."
EXPECTED_VOTES_KEY = "quorum.expected_votes"
DEVICE_MODEL_KEY = "quorum.device.model"
DEVICE_VOTES_KEY = "quorum.device.votes"

_SINGLE_KEYS = (
    CLUSTER_NAME_KEY,
    CONFIG_VERSION_KEY,
    EXPECTED_VOTES_KEY,
    DEVICE_MODEL_KEY,
    DEVICE_VOTES_KEY,
)

Value = int | str

_INTEGER_TYPES = {
    lib.CMAP_VALUETYPE_INT8: "int8_t *",
    lib.CMAP_VALUETYPE_UINT8: "uint8_t *",
    lib.CMAP_VALUETYPE_INT16: "int16_t *",
    lib.CMAP_VALUETYPE_UINT16: "uint16_t *",
    lib.CMAP_VALUETYPE_INT32: "int32_t *",
    lib.CMAP_VALUETYPE_UINT32: "uint32_t *",
    lib.CMAP_VALUETYPE_INT64: "int64_t *",
    lib.CMAP_VALUETYPE_UINT64: "uint64_t *",
}


class CmapHandle(Handle[bool]):
    """A connection to the configuration map; dispatch returns one True per changed key."""

    def __init__(self) -> None:
        super().__init__(
            Calls(
                "cmap",
                fd_get=lib.cmap_fd_get,
                dispatch=lib.cmap_dispatch,
                finalize=lib.cmap_finalize,
            )
        )

    def read(self) -> dict[str, Value]:
        """Return every key that tells of the cluster and its nodes. Blocks.

        Raises:
            CorosyncError: the connection is lost.
        """
        with self._requests:
            handle_id = self._open_id("get")
            keys = [*_SINGLE_KEYS, *self._keys(handle_id, NODE_PREFIX)]
            values = {key: self._get(handle_id, key) for key in keys}
        return {key: value for key, value in values.items() if value is not None}

    def _initialize(self) -> int:
        handle = ffi.new("cmap_handle_t *")
        check(lib.cmap_initialize(handle), "cmap_initialize")
        return int(handle[0])

    def _set_up(self, handle_id: int) -> None:
        """Ask to be told of changes, before the first reading."""
        events = lib.CMAP_TRACK_ADD | lib.CMAP_TRACK_DELETE | lib.CMAP_TRACK_MODIFY
        for prefix in (NODE_PREFIX, QUORUM_PREFIX):
            self._track(handle_id, prefix, events | lib.CMAP_TRACK_PREFIX)
        self._track(handle_id, CONFIG_VERSION_KEY, events)

    def _track(self, handle_id: int, key: str, events: int) -> None:
        track = ffi.new("cmap_track_handle_t *")
        notify = lib.pmxcfs_cmap_notified
        code = lib.cmap_track_add(handle_id, key.encode(), events, notify, ffi.NULL, track)
        check(code, "cmap_track_add")

    def _keys(self, handle_id: int, prefix: str) -> Iterator[str]:
        iterator = ffi.new("cmap_iter_handle_t *")
        key = ffi.new("char[]", lib.CMAP_KEYNAME_MAXLEN + 1)
        check(lib.cmap_iter_init(handle_id, prefix.encode(), iterator), "cmap_iter_init")
        try:
            while True:
                code = lib.cmap_iter_next(handle_id, iterator[0], key, ffi.NULL, ffi.NULL)
                if code == Code.NO_SECTIONS:
                    return
                check(code, "cmap_iter_next")
                yield ffi.string(key).decode(errors="replace")
        finally:
            lib.cmap_iter_finalize(handle_id, iterator[0])

    def _get(self, handle_id: int, key: str) -> Value | None:
        """Return a number or a text; None for a key that is missing or holds something else."""
        size, kind = ffi.new("size_t *"), ffi.new("cmap_value_types_t *")
        code = lib.cmap_get(handle_id, key.encode(), ffi.NULL, size, kind)
        if code == Code.NOT_EXIST:
            return None
        check(code, "cmap_get")
        room = ffi.new("char[]", int(size[0]) + 1)
        code = lib.cmap_get(handle_id, key.encode(), room, size, kind)
        if code == Code.NOT_EXIST:
            return None
        check(code, "cmap_get")
        if kind[0] == lib.CMAP_VALUETYPE_STRING:
            return ffi.string(room).decode(errors="replace")
        integer = _INTEGER_TYPES.get(kind[0])
        return int(ffi.cast(integer, room)[0]) if integer is not None else None


def cluster_info(values: Mapping[str, Value]) -> ClusterInfo | None:
    """Make the cluster's description out of the map's keys; None if it has no name.

    A node counts if it has an id other than zero and a name (``name``, else ``ring0_addr``). Of two
    nodes with one id the later wins. A missing version is 0, missing votes are 1.
    """
    name = values.get(CLUSTER_NAME_KEY)
    if not isinstance(name, str):
        return None
    nodes = {node.node_id: node for node in _nodes(values)}
    version = values.get(CONFIG_VERSION_KEY)
    return ClusterInfo(
        name=name,
        config_version=version if isinstance(version, int) else 0,
        nodes=tuple(nodes[node_id] for node_id in sorted(nodes)),
        other_votes=_other_votes(values, [node.votes for node in nodes.values()]),
    )


def _other_votes(values: Mapping[str, Value], node_votes: Sequence[int]) -> int:
    """Return the votes that corosync expects from elsewhere.

    A device without a number of its own has one less than there are nodes. A number of expected
    votes that is below what nodes and device have would make two quorums possible at a time; it
    does not count.
    """
    device_votes, expected = values.get(DEVICE_VOTES_KEY), values.get(EXPECTED_VOTES_KEY)
    if not values.get(DEVICE_MODEL_KEY):
        device_votes = 0
    elif not isinstance(device_votes, int):
        device_votes = len(node_votes) - 1
    missing = expected - sum(node_votes) if isinstance(expected, int) else 0
    return max(device_votes, missing, 0)


def _nodes(values: Mapping[str, Value]) -> Iterator[ClusterNode]:
    """Yield the nodes that count, in the order of their places in the list."""
    fields_of: dict[int, dict[str, Value]] = {}
    for key, value in values.items():
        place, _, field = key.removeprefix(NODE_PREFIX).partition(".")
        if key.startswith(NODE_PREFIX) and place.isdecimal() and field:
            fields_of.setdefault(int(place), {})[field] = value
    for _, fields in sorted(fields_of.items()):
        node_id, name = fields.get("nodeid"), fields.get("name", fields.get("ring0_addr"))
        if isinstance(node_id, int) and node_id and isinstance(name, str) and name:
            votes = fields.get("quorum_votes")
            yield ClusterNode(NodeId(node_id), name, votes if isinstance(votes, int) else 1)


class ClusterMapWatch(Watch[CmapHandle]):
    """Reports the cluster's description when connected, and whenever it has changed.

    What was reported last stays valid while corosync is away.

    Args:
        sink: called with each description that differs from the one before.
        timing: how patient to be; tests are less so.
    """

    def __init__(self, sink: Callable[[ClusterInfo], None], timing: Timing | None = None) -> None:
        super().__init__("confdb", timing)
        self._sink = sink
        self._reported: ClusterInfo | None = None

    def _make_handle(self) -> CmapHandle:
        return CmapHandle()

    async def _listen(self, handle: CmapHandle) -> None:
        while True:
            self._report(cluster_info(await self._read(handle)))
            while True:
                await trio.lowlevel.wait_readable(handle.fd)
                if handle.dispatch():
                    break

    async def _read(self, handle: CmapHandle) -> dict[str, Value]:
        return await ask_in_time(handle, handle.read, within_s=self._timing.answer_s_max)

    def _report(self, info: ClusterInfo | None) -> None:
        if info is None:
            self._log.warning("corosync's configuration has no cluster name", key=CLUSTER_NAME_KEY)
        elif info != self._reported:
            self._reported = info
            self._sink(info)


@ffi.def_extern(onerror=callback_failed)
def pmxcfs_cmap_notified(
    handle: int,
    track: int,
    event: int,
    key: "CData",
    new_value: "CData",
    old_value: "CData",
    user_data: "CData",
) -> None:
    """Keep that something changed; what it is will be read."""
    note_received(True)
