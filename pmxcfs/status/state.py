"""What this node knows of the cluster that no disk remembers, and the rules for new values.

Source: docs/PROTOCOL.md, "Key-value group".
"""

from collections.abc import Collection
from errno import EFBIG, ENOMEM

import structlog

from pmxcfs.errors import OperationError, ProtocolError
from pmxcfs.identity import NodeId
from pmxcfs.status.clusterlog import ClusterLog
from pmxcfs.status.kvstore import VALUE_BYTES_MAX, KeyValues, Table
from pmxcfs.status.members import ClusterInfo, Membership
from pmxcfs.status.messages import KEY_FIELD_BYTES, Update, decode_ip, encode_ip
from pmxcfs.status.rrd import KEY_PREFIX as METRICS_PREFIX
from pmxcfs.status.rrd import Metrics

log = structlog.get_logger("status")

IP_KEY = b"nodeip"

EARLY_KEYS_MAX = 64
"""How many values are kept of a node that the configuration does not name yet."""


def is_metrics(update: Update) -> bool:
    """Whether a value is metrics, which also go into RRD files."""
    return update.key.startswith(METRICS_PREFIX)


class ClusterStatus:
    """Members, values, metrics and log of the cluster.

    Args:
        node_name: ours.
        ip: our address as text; None if we have none to tell.
        first_uid: see ClusterLog.

    Attributes:
        measured_s: when the last metrics of each node came, by its name.
    """

    def __init__(self, node_name: str, *, ip: str | None = None, first_uid: int = 1) -> None:
        self.node_name = node_name
        self.membership = Membership()
        self.values = KeyValues()
        self.metrics = Metrics()
        self.log = ClusterLog(node_name.encode(), first_uid)
        self.measured_s: dict[str, int] = {}
        self._own_ip = ip.encode() if ip is not None else None
        self._early: dict[NodeId, dict[bytes, Update]] = {}
        if self._own_ip is not None:
            self.membership.begin_with(node_name, self._own_ip)

    def values_of(self, node_name: str) -> Table | None:
        """Return what a node publishes, by its name; the empty name is ours. None: no such node."""
        if node_name in ("", self.node_name):
            return self.values.own
        nodes = self.membership.info.nodes if self.membership.info is not None else ()
        found = next((node for node in nodes if node.name == node_name), None)
        return self.values.of(found.node_id) if found is not None else None

    def learn_nodes(self, info: ClusterInfo) -> None:
        """Take over a new reading of corosync's configuration; nodes that are gone lose all."""
        self.membership.learn_nodes(info)
        self.values.keep_only({node.node_id for node in info.nodes})
        names = {node.name for node in info.nodes} | {self.node_name}
        self.measured_s = {name: at_s for name, at_s in self.measured_s.items() if name in names}
        for node in info.nodes:
            for update in self._early.pop(node.node_id, {}).values():
                self._receive(node.node_id, node.name, update)

    def learn_online(self, node_ids: Collection[NodeId]) -> None:
        """Take over the members of the group after a configuration change."""
        self.membership.learn_online(node_ids)
        self._early = {key: value for key, value in self._early.items() if key in node_ids}

    def receive(self, node_id: NodeId, update: Update, now_s: int) -> bool:
        """Take over what another node publishes; return whether it is news for the RRD files.

        Of a node that the configuration does not name, a few values wait for its name: the group
        may be faster than the configuration, and nobody tells twice. Metrics need no waiting.

        Raises:
            ProtocolError: the value is not what its key demands.
        """
        name = self.membership.name_of(node_id)
        if len(update.value) > VALUE_BYTES_MAX:
            raise ProtocolError(f"a value of {len(update.value)} bytes")
        if update.key == IP_KEY:
            decode_ip(update.value)
        if is_metrics(update):
            if name is None:
                return False
            self._receive_metrics(name, update, now_s)
            return True
        if name is not None:
            self._receive(node_id, name, update)
        elif len(self._early.setdefault(node_id, {})) < EARLY_KEYS_MAX:
            self._early[node_id][update.key] = update
        return False

    def publish(self, key: bytes, value: bytes, now_s: int) -> Update:
        """Set a value of our own and return what the other members are to be sent.

        Raises:
            OperationError: EFBIG, the value is too long; ENOMEM, it is not what its key demands
                (that is the reference's number), or it is one too many. The others are to be sent
                nothing.
        """
        if len(value) > VALUE_BYTES_MAX:
            raise OperationError(EFBIG)
        update = Update(key.partition(b"\0")[0][: KEY_FIELD_BYTES - 1], value)
        try:
            self._set_own(update, now_s)
        except ProtocolError:
            raise OperationError(ENOMEM) from None
        return update

    def own_updates(self) -> list[Update]:
        """Return all values of our own, for members that may not know them; metrics excepted."""
        return [Update(key, value.data) for key, value in self.values.own.values.items()]

    def is_told_at_sync(self, update: Update) -> bool:
        """Whether the next synchronisation tells the others of this value anyway."""
        return update.key == IP_KEY or update.key in self.values.own.values

    def own_address(self) -> Update | None:
        """Return the news of our address; None if we have none to tell."""
        return None if self._own_ip is None else Update(IP_KEY, encode_ip(self._own_ip))

    def _receive(self, node_id: NodeId, name: str, update: Update) -> None:
        if update.key == IP_KEY:
            self.membership.learn_ip(name, decode_ip(update.value))
        else:
            self.values.receive(node_id, update.key, update.value)

    def _set_own(self, update: Update, now_s: int) -> None:
        if update.key == IP_KEY:
            self._own_ip = decode_ip(update.value)
            self.membership.learn_ip(self.node_name, self._own_ip)
        elif is_metrics(update):
            self._receive_metrics(self.node_name, update, now_s)
        else:
            self._set_value(update)

    def _set_value(self, update: Update) -> None:
        try:
            self.values.set(update.key, update.value)
        except ProtocolError as error:
            log.warning("refused a value that a client sets", key=update.key, reason=str(error))
            raise

    def _receive_metrics(self, name: str, update: Update, now_s: int) -> None:
        self.metrics.receive(update.key.removeprefix(METRICS_PREFIX), update.value, now_s)
        self.measured_s[name] = now_s
