"""Application messages: applied when in sync, held back during a synchronisation.

Source: docs/PROTOCOL.md, "Modes" and "Synchronisation".
"""

from collections import deque
from errno import EPERM

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.core import Core
from pmxcfs.dfsm.effects import Multicast
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.queue import CountQueue, HeldMessage
from pmxcfs.errors import ProtocolError

HELD_BYTES_MAX = 64 * 1024 * 1024
"""With more than this held back we had better leave and come back by a full synchronisation."""

_OVERHEAD_BYTES = 256


class Deliveries:
    """The messages on their way to the application.

    Some are held until their sender and we agree. Others follow the updates: while we are being
    updated, members in sync already apply them, so they come first when we are done, in the order
    in which they came.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._held = CountQueue()
        self._following: deque[HeldMessage] = deque()
        self._size_bytes = 0
        self._doubtful: set[int] = set()

    @property
    def holds_any(self) -> bool:
        """Whether any message waits to be applied."""
        return bool(self._held) or bool(self._following)

    def apply(self, message: HeldMessage, now_s: int) -> None:
        """Hand a message to the application and answer the local caller who sent it.

        Raises:
            ProtocolError: the application refuses the message.
        """
        core, sender = self._core, message.sender
        header, payload = wire.decode_normal(message.data)
        try:
            delivery = core.application.deliver(
                sender, header.subtype, payload, header.time_s, now_s
            )
        except ProtocolError:
            self._answer(message, -EPERM)
            raise
        core.history.note(sender, message.count)
        core.perform(delivery.effects, now_s)
        self._answer(message, delivery.result)

    def hold(self, message: HeldMessage, now_s: int) -> None:
        """Keep a message until its sender and we agree.

        Raises:
            ProtocolError: the sender is no member, or too much is held already.
        """
        if message.sender not in self._core.members:
            raise ProtocolError(f"message from {message.sender}, who is no member")
        self._make_room(message)
        self._held.insert(message)

    def hold_or_follow(self, message: HeldMessage, now_s: int) -> None:
        """Keep a message while we are being updated.

        Raises:
            ProtocolError: the sender is no member, or too much is held already.
        """
        if self._core.members.is_synced(message.sender):
            self._make_room(message)
            self._following.append(message)
        else:
            self.hold(message, now_s)

    def deliver_held(self, now_s: int) -> None:
        """Apply, or let follow the updates, what members in sync have sent; keep the rest.

        Raises:
            ProtocolError: the application refuses a message.
        """
        members = self._core.members
        kept = []
        for message in self._held.take_all():
            if message.sender not in members:
                self._core.log.info("dropped a message of a former member", sender=message.sender)
            elif not members.is_synced(message.sender):
                kept.append(message)
            elif self._core.mode is Mode.SYNCED:
                self.apply(message, now_s)
            else:
                self._following.append(message)
        self._held.put_back(kept)
        self._size_bytes = sum(map(_size_bytes, (*kept, *self._following)))

    def deliver_following(self, now_s: int) -> None:
        """Apply what was to follow the updates.

        Raises:
            ProtocolError: the application refuses a message.
        """
        while self._following:
            message = self._following.popleft()
            self._size_bytes -= _size_bytes(message)
            self.apply(message, now_s)

    def drop_following(self) -> None:
        """Forget what was to follow updates that will not come."""
        self._size_bytes -= sum(map(_size_bytes, self._following))
        self._following.clear()

    def doubt_own(self) -> None:
        """Take note that members went, who may have applied what we still hold of our own.

        On their side of a split they may have seen the synchronisation end, with their own states.
        """
        if not self._core.application.is_idempotent:
            self._doubtful |= {held.count for held in self._held if held.sender == self._core.me}

    def send_own_again(self) -> None:
        """Send once more what we hold of our own, for newcomers to see it; hold nothing then.

        What is in doubt counts as lost: a newcomer's tree may have it, and it must not come twice.
        """
        for message in self._held.take_all():
            self._size_bytes -= _size_bytes(message)
            if message.sender == self._core.me:
                self._send_again(message)
        self._doubtful.clear()

    def forget(self) -> None:
        """Hold nothing any more."""
        self._held.take_all()
        self._following.clear()
        self._doubtful.clear()
        self._size_bytes = 0

    def _send_again(self, message: HeldMessage) -> None:
        core = self._core
        if message.count in self._doubtful:
            core.log.warning("not sent again: a member that went may have applied it")
            core.effects += core.waiters.lose(message.count)
        else:
            core.outgoing.repeat(message.count)
            core.effects.append(Multicast(message.data))

    def _make_room(self, message: HeldMessage) -> None:
        self._size_bytes += _size_bytes(message)
        if self._size_bytes > HELD_BYTES_MAX:
            raise ProtocolError(f"a synchronisation holds back {self._size_bytes} bytes")

    def _answer(self, message: HeldMessage, result: int) -> None:
        if message.sender == self._core.me:
            core = self._core
            is_repeat = core.outgoing.is_repeat
            core.effects += core.waiters.settle(message.count, result, is_repeat)


def _size_bytes(message: HeldMessage) -> int:
    """Return about how much memory a held message takes."""
    return len(message.data) + _OVERHEAD_BYTES
