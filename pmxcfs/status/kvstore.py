"""The values that nodes publish under keys, a table per node, each value with a version.

Source: docs/PROTOCOL.md, "Key-value group".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pmxcfs.errors import ProtocolError
from pmxcfs.identity import NodeId

VALUE_BYTES_MAX = 32_768

KEYS_MAX = 1024
TABLE_BYTES_MAX = 8 * 1024 * 1024
"""What one node may have all nodes keep for it, keys and values: it publishes a few dozen keys.
The reference keeps whatever comes."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a node published last under a key, and how often it did since the key appeared."""

    data: bytes
    version: int


class Table:
    """The values of one node by key."""

    def __init__(self) -> None:
        self._values: dict[bytes, Value] = {}
        self._size_bytes = 0

    @property
    def values(self) -> Mapping[bytes, Value]:
        """What is in it."""
        return self._values

    def set(self, key: bytes, data: bytes) -> None:
        """Publish a value; an empty one removes the key. Equal values count as new ones too."""
        before = self._values.get(key)
        self._size_bytes += _size_bytes(key, data) - (
            _size_bytes(key, before.data) if before is not None else 0
        )
        if not data:
            self._values.pop(key, None)
        elif before is not None:
            self._values[key] = Value(data, (before.version + 1) % 2**32)
        else:
            self._values[key] = Value(data, 0)

    def has_room_for(self, key: bytes, data: bytes) -> bool:
        """Whether the table stays within its limits with this value."""
        before = self._values.get(key)
        if before is None:
            return (
                len(self._values) < KEYS_MAX
                and self._size_bytes + _size_bytes(key, data) <= TABLE_BYTES_MAX
            )
        growth_bytes = len(data) - len(before.data)
        return growth_bytes <= 0 or self._size_bytes + growth_bytes <= TABLE_BYTES_MAX


def _size_bytes(key: bytes, data: bytes) -> int:
    """Return what a value counts for; one that is not there counts for nothing."""
    return len(key) + len(data) if data else 0


class KeyValues:
    """The tables of all nodes, for as long as the cluster has them and this process lives."""

    def __init__(self) -> None:
        self.own = Table()
        self._others: dict[NodeId, Table] = {}

    def of(self, node_id: NodeId) -> Table | None:
        """Return the table of another node; None if it has never published anything."""
        return self._others.get(node_id)

    def set(self, key: bytes, data: bytes) -> None:
        """Publish a value of ours.

        Raises:
            ProtocolError: that is more than anybody needs; what we have stays.
        """
        _put(self.own, key, data, "this node")

    def receive(self, node_id: NodeId, key: bytes, data: bytes) -> None:
        """Take over what another node publishes.

        Raises:
            ProtocolError: it publishes more than anybody needs; what we have of it stays.
        """
        _put(self._others.setdefault(node_id, Table()), key, data, f"node {node_id}")

    def keep_only(self, node_ids: Collection[NodeId]) -> None:
        """Forget the tables of all other nodes: they are no longer in the cluster."""
        self._others = {
            node_id: table for node_id, table in self._others.items() if node_id in node_ids
        }


def _put(table: Table, key: bytes, data: bytes, whose: str) -> None:
    if data and not table.has_room_for(key, data):
        raise ProtocolError(f"{whose} publishes too much, {len(table.values)} keys")
    table.set(key, data)
