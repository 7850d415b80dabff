"""The cluster's volatile status as the application of its group (upstream: kvstore).

In this group nobody leads: each member tells all the others what it has to tell.

Source: docs/PROTOCOL.md, "Key-value group".
"""

from collections.abc import Mapping, Sequence

import structlog

from pmxcfs.dfsm.application import Comparison, Delivery
from pmxcfs.dfsm.effects import Effect, Send
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member
from pmxcfs.status.messages import Subtype, Update, decode_update, encode_update
from pmxcfs.status.state import ClusterStatus
from pmxcfs.values import value

log = structlog.get_logger("status")

PROTOCOL_VERSION = 0


@value(frozen=True, slots=True)
class RecordMetrics(Effect):
    """Write metrics, of whatever node, into their RRD file."""

    update: Update


class StatusApplication:
    """Takes over what the other members publish and log, and tells newcomers what we have."""

    is_idempotent = True

    def __init__(self, status: ClusterStatus) -> None:
        self.status = status
        self.me: Member | None = None

    def deliver(
        self, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        """Take over what a member tells. Our own messages were applied before they were sent.

        Nobody leaves this group for a message that makes no sense.
        """
        if sender == self.me:
            return Delivery(0)
        try:
            return Delivery(0, self._take(sender, subtype, payload, now_s))
        except ProtocolError as error:
            log.warning("ignored a status message", sender=sender, reason=str(error))
        return Delivery(0)

    def state(self) -> bytes:
        """Return the whole cluster log."""
        return self.status.log.state()

    def compare_states(self, states: Mapping[Member, bytes]) -> Comparison:
        """Merge the logs of all members; tell them our values."""
        self.status.log.merge(states, self.me)
        updates = self.status.own_updates()
        return Comparison(
            synced=frozenset(states),
            effects=tuple(Send(*encode_update(update)) for update in updates),
        )

    def collect_update(self, payload: bytes) -> None:
        """Refuse it: all members are in sync when they have compared their states.

        Raises:
            ProtocolError: always.
        """
        raise ProtocolError("there are no updates in the status group")

    def commit(self, now_s: int) -> Sequence[Effect]:
        """Refuse it, for the same reason.

        Raises:
            ProtocolError: always.
        """
        raise ProtocolError("there are no updates in the status group")

    def drop_sync(self) -> None:
        """Nothing is kept from one synchronisation to the next."""

    def checksum(self) -> bytes | None:
        """Return None: the members' states need not be equal."""
        return None

    def on_members(self, members: frozenset[Member], now_s: int) -> Sequence[Effect]:
        """Take note of who is online."""
        self.status.learn_online({member.node_id for member in members})
        return ()

    def on_agreed(self, now_s: int) -> Sequence[Effect]:
        """Nothing follows: the status of each node is its own."""
        return ()

    def on_synced(self, now_s: int) -> Sequence[Effect]:
        """Tell our address."""
        address = self.status.own_address()
        return () if address is None else (Send(*encode_update(address)),)

    def _take(self, sender: Member, subtype: int, payload: bytes, now_s: int) -> tuple[Effect, ...]:
        match subtype:
            case Subtype.UPDATE:
                update = decode_update(payload)
                if self.status.receive(sender.node_id, update, now_s):
                    return (RecordMetrics(update),)
            case Subtype.LOG:
                self.status.log.receive(payload)
            case _:
                raise ProtocolError(f"unknown subtype {subtype}")
        return ()
