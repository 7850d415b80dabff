"""Which messages were applied since members last agreed, in a form that members can compare.

Versions of a tree do not tell histories apart: two members that were parted count on from the same
number. So a history begins with what a synchronisation agreed upon, and every applied message makes
a digest of the digest before it. Equal digests mean equal beginnings and the same messages since.

Source: docs/PROTOCOL.md, "Durability group".
"""

from collections import deque
from hashlib import blake2b
from struct import Struct

from pmxcfs.identity import Member
from pmxcfs.values import value

DIGEST_BYTES = 16

POINTS_MAX = 32_768
"""So many of the last digests are remembered: some seconds of the fastest traffic."""

_FOLD_DUE = 1024
"""So many messages are noted before their digests are made without anybody asking."""

_MESSAGE = Struct("<IIQ")  # the sender's node id and process id, the number it gave the message


@value(frozen=True, slots=True)
class Point:
    """A place in a history: how many messages were applied, and the digest that stands for them."""

    position: int
    digest: bytes


class History:
    """What was applied since the last agreement; nothing is known while there is none.

    Attributes:
        era: counts the beginnings; positions of different eras say nothing about each other.
        replacements: how often a beginning took away what was there before it.
        is_open: whether there is an agreement that holds.
    """

    def __init__(self) -> None:
        self.era = 0
        self.replacements = 0
        self.is_open = False
        self._digests: deque[bytes] = deque(maxlen=POINTS_MAX)
        self._unfolded: list[tuple[int, int, int]] = []
        self._folded = 0

    @property
    def position(self) -> int:
        """How many messages were applied in this era."""
        return self._folded + len(self._unfolded)

    @property
    def point(self) -> Point:
        """Where we are; only while the history is open."""
        assert self.is_open, "nothing was agreed upon"
        self._fold()
        return Point(self._folded, self._digests[-1])

    def begin(self, agreement: bytes, *, is_replaced: bool) -> None:
        """Begin an era.

        Args:
            agreement: names it; the same bytes on every member that takes part, and no others'.
            is_replaced: whether something else took the place of what we had.
        """
        self.era += 1
        self.replacements += is_replaced
        self.is_open = True
        self._unfolded.clear()
        self._digests.clear()
        self._digests.append(blake2b(agreement, digest_size=DIGEST_BYTES).digest())
        self._folded = 0

    def end(self) -> None:
        """Know nothing until the next agreement."""
        self.is_open = False

    def note(self, sender: Member, count: int) -> None:
        """Note that message ``count`` of ``sender`` was applied. Part of every change: cheap."""
        self._unfolded.append((sender.node_id, sender.pid, count))
        if len(self._unfolded) >= _FOLD_DUE:
            self._fold()

    def point_at(self, position: int) -> Point | None:
        """Return a place that we have passed, None if it is not remembered or still to come."""
        self._fold()
        index = position - self._folded - 1 + len(self._digests)
        if not self.is_open or not 0 <= index < len(self._digests):
            return None
        return Point(position, self._digests[index])

    def holds(self, point: Point) -> bool | None:
        """Whether a place lies in our history; None if it may be further along than we are."""
        if not self.is_open or point.position > self.position:
            return None
        return self.point_at(point.position) == point

    def _fold(self) -> None:
        """Make the digests of what was noted."""
        for message in self._unfolded:
            link = self._digests[-1] + _MESSAGE.pack(*message)
            self._digests.append(blake2b(link, digest_size=DIGEST_BYTES).digest())
        self._folded += len(self._unfolded)
        self._unfolded.clear()
