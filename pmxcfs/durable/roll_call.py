"""Who of our nodes is able to answer: asked when somebody wants to know, never by itself.

While all are in sync nothing on the wire tells a member that hangs from one with nothing to say. So
one member calls, all who hear it answer, and who does not is named. Our own call has to come back
as well, or it is corosync that carries nothing and nobody is to blame.

Source: docs/PROTOCOL.md, "Durability group".
"""

from collections.abc import Collection
from struct import Struct

from pmxcfs.dfsm.history import DIGEST_BYTES, Point
from pmxcfs.durable.wire import Message, MessageType
from pmxcfs.identity import Member, NodeId

_CALLER = Struct(f"<II{DIGEST_BYTES - 8}x")

UNANSWERED_MAX = 64
"""Answers that are still to be sent: more callers than that nobody has."""


class RollCall:
    """The last call of ours, and what we owe to other callers."""

    def __init__(self) -> None:
        self._number = 0
        self._call: Point | None = None
        self._has_come_back = False
        self._called: frozenset[Member] = frozenset()
        self._here: set[Member] = set()
        self._owed: list[Point] = []

    @property
    def is_complete(self) -> bool:
        """Whether all who were called have answered, or nobody was."""
        return self._call is None or (self._has_come_back and self._called <= self._here)

    @property
    def answers(self) -> dict[NodeId, bool]:
        """Which of the nodes that were called have answered; empty if that says nothing."""
        if not self._has_come_back:
            return {}
        return {member.node_id: member in self._here for member in self._called}

    def call(self, me: Member | None, members: Collection[Member]) -> bytes | None:
        """Return the message that calls these members; None if we are not among them."""
        self._has_come_back = False
        if me is None or me not in members:
            self._call = None
            return None
        self._number += 1
        self._call = Point(self._number, _CALLER.pack(me.node_id, me.pid))
        self._called, self._here = frozenset(members), {me}
        return Message(MessageType.CALL, self._call).encode()

    def hear(self, sender: Member, me: Member | None, message: Message) -> None:
        """Take in a call or an answer to one."""
        if message.type is MessageType.HERE:
            if message.point == self._call:
                self._here.add(sender)
        elif sender == me:
            self._has_come_back |= message.point == self._call
        elif len(self._owed) < UNANSWERED_MAX:
            self._owed.append(message.point)

    def keep(self, members: Collection[Member]) -> None:
        """Wait no longer for who has left; that it has is seen by itself."""
        self._called = self._called.intersection(members)
        if not self._called:
            self._call, self._has_come_back = None, False

    def answers_owed(self) -> list[bytes]:
        """Return the messages that answer others; each is returned once."""
        owed, self._owed = self._owed, []
        return [Message(MessageType.HERE, point).encode() for point in owed]
