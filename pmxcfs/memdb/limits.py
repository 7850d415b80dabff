"""How much the tree may hold. Only who originates a change keeps to it, never who applies it.

The reference reports these limits and enforces none, so members have to apply whatever is sent.

Source: docs/PROTOCOL.md, "Operations".
"""

from errno import ENOSPC

from pmxcfs.errors import OperationError
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.values import value

CONTENT_BYTES_MAX = 128 * 1024 * 1024
ENTRIES_MAX = 262_144
"""The root is one of them."""

_LEVELS_PERCENT = (80, 100)
_SILENCE_PERCENT = 5
"""As far as it has to fall below a level before reaching that level is news again."""


def check_room(tree: Tree, operation: Operation) -> None:
    """Refuse an operation that would let the tree outgrow its limits.

    Changes that others are about to make at the same time are not foreseen.

    Raises:
        OperationError: ENOSPC.
    """
    match operation:
        case Create(path) | Mkdir(path):
            if len(tree) >= ENTRIES_MAX and tree.find(path) is None:
                raise OperationError(ENOSPC)
        case Write():
            growth_bytes = _growth_bytes(tree, operation)
            if growth_bytes and tree.content_size_bytes + growth_bytes > CONTENT_BYTES_MAX:
                raise OperationError(ENOSPC)


def _growth_bytes(tree: Tree, write: Write) -> int:
    """Return by how many bytes a write lets the content grow; what shrinks it counts as zero."""
    end = write.offset + len(write.data)
    if tree.content_size_bytes + end <= CONTENT_BYTES_MAX:
        return 0  # it cannot come to the limit whatever is there, which is the usual case
    entry = tree.find(write.path)
    return 0 if entry is None else max(0, end - entry.size)


@value(frozen=True, slots=True)
class Level:
    """One limit has been reached by so many percent."""

    of: str
    percent: int
    used: int
    limit: int


class Gauge:
    """Tells when the tree comes near a limit, once each time."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._percents: tuple[int, int] | None = None

    def read(self, tree: Tree) -> list[Level]:
        """Return the levels that have been reached since the last time."""
        percents = (
            100 * len(tree) // ENTRIES_MAX,
            100 * tree.content_size_bytes // CONTENT_BYTES_MAX,
        )
        if percents == self._percents:
            return []
        self._percents = percents
        used_of = {
            "entries": (len(tree), ENTRIES_MAX),
            "bytes of content": (tree.content_size_bytes, CONTENT_BYTES_MAX),
        }
        return [level for of, state in used_of.items() if (level := self._news(of, *state))]

    def _news(self, of: str, used: int, limit: int) -> Level | None:
        percent = 100 * used // limit
        told = self._told.get(of, 0)
        reached = _highest_below(percent + 1)
        still_told = min(told, _highest_below(percent + _SILENCE_PERCENT))
        self._told[of] = max(reached, still_told)
        return Level(of, reached, used, limit) if reached > still_told else None


def _highest_below(percent: int) -> int:
    """Return the highest level below so many percent, or zero."""
    return max((level for level in _LEVELS_PERCENT if level < percent), default=0)
