"""What differs between two trees, path by path."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.problems import printable

FIELDS = ("inode", "version", "writer", "mtime")
"""What two entries can differ in besides their content."""


class Manner(StrEnum):
    """How a path differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not the same in both trees; a side is None where there is no such path."""

    path: bytes
    manner: Manner
    before: Entry | None
    after: Entry | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields in which two entries differ."""
        if self.before is None or self.after is None:
            return ()
        return tuple(
            name for name in FIELDS if getattr(self.before, name) != getattr(self.after, name)
        )


def compare(first: Tree, second: Tree) -> Iterator[Difference]:
    """Yield what differs, in the order of the paths; the root's path is empty."""
    before, after = _by_path(first), _by_path(second)
    for path in sorted(before.keys() | after.keys()):
        difference = _difference(path, before.get(path), after.get(path))
        if difference is not None:
            yield difference


def text_difference(difference: Difference) -> list[str] | None:
    """Return the lines of a unified diff, without line ends; None if a side is no text."""
    sides = [side.data if side else b"" for side in (difference.before, difference.after)]
    try:
        texts = [side.decode() for side in sides]
    except UnicodeDecodeError:
        return None
    if any("\0" in text for text in texts):
        return None
    path = printable(difference.path)
    old_name = f"a/{path}" if difference.before else "/dev/null"
    new_name = f"b/{path}" if difference.after else "/dev/null"
    old, new = map(_lines, texts)
    return list(difflib.unified_diff(old, new, old_name, new_name, lineterm=""))


def _lines(text: str) -> list[str]:
    """Return the lines with what is odd in them escaped, and a mark if the last has no end."""
    lines = [printable(line.encode()).replace("\\t", "\t") for line in text.split("\n")]
    if lines[-1]:
        return [*lines[:-1], lines[-1] + " \\ no line end"]
    return lines[:-1]


def _by_path(tree: Tree) -> dict[bytes, Entry]:
    return {tree.path_of(entry.inode): entry for entry in tree.entries()}


def _difference(path: bytes, before: Entry | None, after: Entry | None) -> Difference | None:
    if before is None:
        return Difference(path, Manner.ADDED, before, after)
    if after is None:
        return Difference(path, Manner.REMOVED, before, after)
    difference = Difference(path, Manner.CHANGED, before, after)
    if (before.type, before.data) != (after.type, after.data):
        return difference
    return Difference(path, Manner.METADATA, before, after) if difference.fields else None
