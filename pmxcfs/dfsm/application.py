"""What the protocol replicates: the seam between the state machine and the state it keeps equal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pmxcfs.dfsm.effects import Effect
from pmxcfs.identity import Member
from pmxcfs.values import value


@value(frozen=True, slots=True)
class Delivery:
    """What came of applying one message: ``result`` as the caller sees it, negative errnos too."""

    result: int
    effects: tuple[Effect, ...] = ()


@value(frozen=True, slots=True)
class Comparison:
    """The verdict on everybody's states.

    ``synced`` are the members whose state is already the one to be. ``updates`` is given only if
    we lead: the payloads of the UPDATE messages to send, in order; UPDATE_COMPLETE follows them
    even if there are none. ``leader`` is None where there is no leader, as in the status group.
    """

    synced: frozenset[Member]
    leader: Member | None = None
    updates: Iterable[bytes] | None = None
    effects: tuple[Effect, ...] = ()


class Application(Protocol):
    """A state that all members keep equal.

    Where a ProtocolError is named, it makes us leave the group and come back by a full
    synchronisation. A StorageError from any of the methods makes us leave it for good.
    Effects may contain Send, which the machine turns into a numbered Multicast.

    Attributes:
        is_idempotent: whether it does no harm to apply a message twice.
    """

    is_idempotent: bool

    def deliver(
        self, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        """Apply a message; every member sees the same messages in the same order.

        Args:
            sender: the member that sent it, perhaps ourselves.
            subtype: the application's own number for the kind of message.
            payload: what follows the 24 bytes of header.
            time_s: the sender's clock when it sent the message.
            now_s: our clock.

        Raises:
            ProtocolError: the message is refused; a local caller gets -EPERM.
        """
        ...

    def state(self) -> bytes:
        """Return a fingerprint (or a copy) of the state, as the other members want to see it.

        Raises:
            ProtocolError: there is none.
        """
        ...

    def compare_states(self, states: Mapping[Member, bytes]) -> Comparison:
        """Decide who is up to date; ``states`` has one per member, in the order of members.

        Raises:
            ProtocolError: a state makes no sense.
        """
        ...

    def collect_update(self, payload: bytes) -> None:
        """Keep an update for the commit.

        Raises:
            ProtocolError: the update makes no sense.
        """
        ...

    def commit(self, now_s: int) -> Sequence[Effect]:
        """Become what the leader is, using the updates collected.

        Raises:
            ProtocolError: the outcome is not the leader's state.
            StorageError: the outcome cannot be kept.
        """
        ...

    def drop_sync(self) -> None:
        """Forget the updates collected and all else that belongs to one synchronisation."""
        ...

    def checksum(self) -> bytes | None:
        """Return the 32 bytes that all members must have in common now, None if unsupported."""
        ...

    def on_members(self, members: frozenset[Member], now_s: int) -> Sequence[Effect]:
        """Take note of who is in the group; we are."""
        ...

    def on_agreed(self, now_s: int) -> Sequence[Effect]:
        """Take note that everybody in the group has our state, or is about to commit to it."""
        ...

    def on_synced(self, now_s: int) -> Sequence[Effect]:
        """Take note that normal work begins, or begins again."""
        ...
