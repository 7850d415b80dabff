"""Nanoseconds of modification times, by which the kernel notices that content has changed.

The tree counts seconds, and does not count them for a directory whose entries change. The kernel
drops the pages that it remembers of a file, or the listing of a directory, when size or
modification time are not what it was told before; so no time may stand for two contents. The first
content that a second has keeps zero nanoseconds, for files nearly always all there is.
"""

from dataclasses import dataclass, field

from pmxcfs.memdb.entry import Inode

SECONDS_KEPT_MAX = 64
NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class _Told:
    """What the kernel may have heard of one file or directory.

    Attributes:
        content: counts the contents it has had.
        by_second: for each second that was told the last (content, nanoseconds) told with it.
        floor_ns: for seconds up to ``floor_s``, of which ``by_second`` may have been relieved, the
            first number that was never told.
    """

    content: int = 0
    by_second: dict[int, tuple[int, int]] = field(default_factory=dict)
    floor_s: int = -1
    floor_ns: int = 0

    def nanoseconds(self, second: int) -> int:
        content, told_ns = self.by_second.get(second, (-1, -1))
        if content == self.content:
            return told_ns
        first_ns = self.floor_ns if second <= self.floor_s else 0
        new_ns = max(told_ns + 1, first_ns) % NANOSECONDS
        self.by_second[second] = (self.content, new_ns)
        if len(self.by_second) > SECONDS_KEPT_MAX:
            self._relieve()
        return new_ns

    def _relieve(self) -> None:
        """Let go of the earlier half; files are hardly ever given times of long ago."""
        for second in sorted(self.by_second)[: SECONDS_KEPT_MAX // 2]:
            self.floor_s = max(self.floor_s, second)
            self.floor_ns = max(self.floor_ns, self.by_second.pop(second)[1] + 1)


class Stamps:
    """What the kernel was told of the modification times of the entries that it knows.

    What a directory lists is its content, too.
    """

    def __init__(self) -> None:
        self._told: dict[Inode, _Told] = {}

    def nanoseconds(self, inode: Inode, second: int) -> int:
        """Return what goes with an entry's second: never told before with another content.

        They are used up after as many contents as a second has nanoseconds, and begin again.
        """
        return self._told.setdefault(inode, _Told()).nanoseconds(second)

    def renew(self, inode: Inode) -> None:
        """Note that an entry has another content, or that the kernel may remember a wrong one."""
        told = self._told.get(inode)
        if told is not None:
            told.content += 1

    def renew_all(self) -> None:
        """Note that any entry may have another content."""
        for told in self._told.values():
            told.content += 1

    def drop(self, inode: Inode) -> None:
        """The kernel no longer knows this entry."""
        self._told.pop(inode, None)
