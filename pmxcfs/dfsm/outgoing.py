"""Our own messages on their way to the group: their numbers, their headers, which are repeats."""

from pmxcfs.dfsm.wire import Epoch, MessageType, NormalHeader, StateHeader
from pmxcfs.identity import Member


class Outgoing:
    """Puts headers before payloads.

    Application messages and our own epochs are each counted from 1 for the life of the process,
    also across rejoins.
    """

    def __init__(self, protocol_version: int) -> None:
        self._protocol_version = protocol_version
        self._message_count = 0
        self._epoch_count = 0
        self._repeated: set[int] = set()
        self.epoch: Epoch | None = None

    def open_epoch(self, me: Member, now_s: int) -> None:
        """Start an epoch of our own, as every configuration change does."""
        self._epoch_count += 1
        self.epoch = Epoch(self._epoch_count, now_s & 0xFFFFFFFF, me)

    def forget(self) -> None:
        """Expect nothing of what we sent to come back or to fail any more."""
        self.epoch = None
        self._repeated.clear()

    def number(self, subtype: int, payload: bytes, now_s: int) -> tuple[int, bytes]:
        """Return the next message count and the application message that carries it."""
        self._message_count += 1
        header = NormalHeader(subtype, self._protocol_version, now_s, self._message_count)
        return header.count, header.encode() + payload

    def state_message(self, kind: MessageType, payload: bytes, now_s: int) -> bytes:
        """Return a message of the protocol itself, in the current epoch."""
        assert self.epoch is not None, "a configuration change came first"
        return StateHeader(kind, self._protocol_version, now_s, self.epoch).encode() + payload

    def repeat(self, count: int) -> None:
        """Note that message ``count``, which came back before, is sent once more."""
        self._repeated.add(count)

    @property
    def has_repeats(self) -> bool:
        """Whether anything that was sent once more has not come back since."""
        return bool(self._repeated)

    def came_back(self, count: int) -> None:
        """Note that message ``count`` came back."""
        self._repeated.discard(count)

    def is_repeat(self, count: int) -> bool:
        """Whether message ``count`` was sent once more and has not come back since."""
        return count in self._repeated
