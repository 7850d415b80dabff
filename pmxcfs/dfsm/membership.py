"""Who is in the group since the last configuration change, and what is known of each member."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId


@dataclass(slots=True)
class _Knowledge:
    state: bytes = b""
    is_synced: bool = False


class Membership:
    """The member table of one configuration, ordered by node id and process id.

    Attributes:
        has_begun: whether somebody has started the synchronisation, so that states are due.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._table = {member: _Knowledge() for member in sorted(members)}
        self.has_begun = False

    def __contains__(self, member: Member) -> bool:
        return member in self._table

    def __len__(self) -> int:
        return len(self._table)

    @property
    def all(self) -> frozenset[Member]:
        """Everybody in the group."""
        return frozenset(self._table)

    @property
    def lowest_node_id(self) -> NodeId | None:
        """The node that starts synchronisations and verifications; None in an empty group."""
        return min((member.node_id for member in self._table), default=None)

    @property
    def awaiting(self) -> frozenset[Member]:
        """The members whose state has not come yet. An empty state does not count as come."""
        return frozenset(member for member, known in self._table.items() if not known.state)

    @property
    def states(self) -> Mapping[Member, bytes]:
        """The states gathered so far, in the order of members."""
        return {member: known.state for member, known in self._table.items() if known.state}

    def add_state(self, sender: Member, state: bytes) -> None:
        """Keep a member's state.

        Raises:
            ProtocolError: the sender is no member, or has sent its state before.
        """
        known = self._table.get(sender)
        if known is None:
            raise ProtocolError(f"state from {sender}, who is no member")
        if known.state:
            raise ProtocolError(f"second state from {sender}")
        known.state = state

    def drop_states(self) -> None:
        """Forget all states: a synchronisation begins."""
        self.has_begun = True
        for known in self._table.values():
            known.state = b""

    def is_synced(self, member: Member) -> bool:
        """Whether this is a member that agrees with the leader."""
        known = self._table.get(member)
        return known is not None and known.is_synced

    def mark_synced(self, synced: Iterable[Member]) -> None:
        """Set who agrees with the leader; those not named do not."""
        agreeing = frozenset(synced)
        for member, known in self._table.items():
            known.is_synced = member in agreeing
