"""Writes that are answered and still to be made: which go together, in which order, what failed.

A file has a row of pieces, of which the first may be under way. What is written goes into the last
piece where it fits without a gap, else it begins a new one. So the pieces of a file are made in the
order in which they were written, and each is one change.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pmxcfs.memdb.entry import Inode

BYTES_MAX = 16 * 2**20
"""What may be held of all files together."""

PIECES_MAX = 64
"""Into how many pieces what is held of one file may fall."""

FAILURES_MAX = 1024
"""Of so many files it is remembered that something failed; those whom nobody asks go first."""


@dataclass(slots=True, eq=False)
class Piece:
    """Bytes that follow each other in a file, and who is to be told when they were made, or failed.

    A closed piece takes no more.
    """

    offset: int
    data: bytearray
    is_closed: bool = False
    on_over: list[Callable[[], None]] = field(default_factory=list)

    def has_taken(self, offset: int, data: bytes) -> bool:
        """Take bytes that begin within the piece or at its end; else return false."""
        start = offset - self.offset
        if self.is_closed or not 0 <= start <= len(self.data):
            return False
        self.data[start : start + len(data)] = data
        return True

    def laid_over(self, content: bytes) -> bytes:
        """Return a file's content with the piece in it."""
        end = self.offset + len(self.data)
        return content[: self.offset].ljust(self.offset, b"\0") + self.data + content[end:]


class Gathering:
    """What is held of which file.

    Attributes:
        size_bytes: of all that is held.
    """

    def __init__(self) -> None:
        self._pieces: dict[Inode, deque[Piece]] = {}
        self._under_way: set[Inode] = set()
        self._failures: dict[Inode, int] = {}
        self.size_bytes = 0

    def __contains__(self, inode: Inode) -> bool:
        """Whether something is held of a file."""
        return inode in self._pieces

    @property
    def inodes(self) -> list[Inode]:
        """The files of which something is held."""
        return list(self._pieces)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held, and nobody is still to be told of a failure."""
        return not self._pieces and not self._failures

    def has_taken(self, inode: Inode, offset: int, data: bytes) -> bool:
        """Hold bytes; false means that there is no room for them."""
        pieces = self._pieces.get(inode)
        if self.size_bytes + len(data) > BYTES_MAX or (pieces and len(pieces) >= PIECES_MAX):
            return False
        if pieces is None:
            self._pieces[inode] = pieces = deque()
        if not pieces or not self._has_joined(pieces[-1], offset, data):
            pieces.append(Piece(offset, bytearray(data)))
            self.size_bytes += len(data)
        return True

    def begin(self, inode: Inode) -> Piece | None:
        """Return the piece to be made next, under way from now on; None if one is, or none is."""
        if inode in self._under_way or inode not in self._pieces:
            return None
        self._under_way.add(inode)
        piece = self._pieces[inode][0]
        piece.is_closed = True
        return piece

    def end(self, inode: Inode, errno: int) -> Iterable[Piece]:
        """Note that the piece under way was made, or failed with an errno, and all behind it too.

        Returns:
            The pieces that are over.
        """
        self._under_way.discard(inode)
        pieces = self._pieces[inode]
        over = list(pieces) if errno else [pieces[0]]
        for piece in over:
            pieces.popleft()
            self.size_bytes -= len(piece.data)
        if not pieces:
            del self._pieces[inode]
        if errno:
            self._note_failure(inode, errno)
        return over

    def when_over(self, inode: Inode, call: Callable[[], None]) -> None:
        """Have somebody told when all that is held of a file by now was made, or failed."""
        piece = self._pieces[inode][-1]
        piece.is_closed = True
        piece.on_over.append(call)

    def taken_failure(self, inode: Inode) -> int:
        """Return the errno with which something of a file failed, once; 0 if nothing did."""
        return self._failures.pop(inode, 0)

    def laid_over(self, inode: Inode, content: bytes) -> bytes:
        """Return what a file will read as once all that is held of it was made."""
        for piece in self._pieces.get(inode, ()):
            content = piece.laid_over(content)
        return content

    def _has_joined(self, piece: Piece, offset: int, data: bytes) -> bool:
        before = len(piece.data)
        if not piece.has_taken(offset, data):
            return False
        self.size_bytes += len(piece.data) - before
        return True

    def _note_failure(self, inode: Inode, errno: int) -> None:
        self._failures.setdefault(inode, errno)
        if len(self._failures) > FAILURES_MAX:
            del self._failures[next(iter(self._failures))]
