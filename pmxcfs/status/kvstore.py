"""The values that nodes publish under keys, a table per node, each value with a version.

Source: docs/PROTOCOL.md, "Key-value group".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pmxcfs.identity import NodeId

VALUE_BYTES_MAX = 32_768


@dataclass(frozen=True, slots=True)
class Value:
    """What a node published last under a key, and how often it did since the key appeared."""

    data: bytes
    version: int


class Table:
    """The values of one node by key."""

    def __init__(self) -> None:
        self._values: dict[bytes, Value] = {}

    @property
    def values(self) -> Mapping[bytes, Value]:
        """What is in it."""
        return self._values

    def set(self, key: bytes, data: bytes) -> None:
        """Publish a value; an empty one removes the key. Equal values count as new ones too."""
        if not data:
            self._values.pop(key, None)
        elif key in self._values:
            self._values[key] = Value(data, (self._values[key].version + 1) % 2**32)
        else:
            self._values[key] = Value(data, 0)


class KeyValues:
    """The tables of all nodes, for as long as the cluster has them and this process lives."""

    def __init__(self) -> None:
        self.own = Table()
        self._others: dict[NodeId, Table] = {}

    def of(self, node_id: NodeId) -> Table | None:
        """Return the table of another node; None if it has never published anything."""
        return self._others.get(node_id)

    def receive(self, node_id: NodeId, key: bytes, data: bytes) -> None:
        """Take over what another node publishes."""
        self._others.setdefault(node_id, Table()).set(key, data)

    def keep_only(self, node_ids: Collection[NodeId]) -> None:
        """Forget the tables of all other nodes: they are no longer in the cluster."""
        self._others = {
            node_id: table for node_id, table in self._others.items() if node_id in node_ids
        }
