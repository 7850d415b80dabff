"""Changes of names that no sync has made lasting yet, and how they are undone, in order."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

HIDDEN_PREFIX = ".lab-disk-gone-"
"""Files that were removed or replaced are kept under such names until that lasts."""


@dataclass(frozen=True, slots=True)
class _Change:
    undo: Callable[[], object]
    settle: Callable[[], object]


def _nothing() -> None:
    return


class Names:
    """The names in a folder, as a journalling file system keeps them: those up to some change."""

    def __init__(self) -> None:
        self._pending: list[_Change] = []
        self._serial = 0

    def created(self, path: Path) -> None:
        """A file was made."""
        self._pending.append(_Change(path.unlink, _nothing))

    def made_folder(self, path: Path) -> None:
        """A folder was made."""
        self._pending.append(_Change(path.rmdir, _nothing))

    def remove(self, path: Path) -> Path:
        """Remove a file; return where it is kept meanwhile."""
        hidden = self._hide(path)
        self._pending.append(_Change(lambda: hidden.rename(path), hidden.unlink))
        return hidden

    def rename(self, old: Path, new: Path) -> Path | None:
        """Rename a file; return where the one that had the name is kept meanwhile."""
        hidden = self._hide(new) if new.exists() else None
        old.rename(new)

        def undo() -> None:
            new.rename(old)
            if hidden is not None:
                hidden.rename(new)

        self._pending.append(_Change(undo, _nothing if hidden is None else hidden.unlink))
        return hidden

    def note_sync(self) -> None:
        """All of it is on the disk."""
        self._settle(self._pending)
        self._pending = []

    def lose(self, chance: Random, keep: float) -> int:
        """Undo what did not reach the disk, from the last change back; return how many changes.

        Args:
            chance: decides how many of the first changes did.
            keep: 0 if none can have.
        """
        kept = chance.randint(0, len(self._pending)) if keep > 0 else 0
        for change in reversed(self._pending[kept:]):
            with suppress(FileNotFoundError):
                change.undo()
        lost = len(self._pending) - kept
        self._settle(self._pending[:kept])
        self._pending = []
        return lost

    def _hide(self, path: Path) -> Path:
        self._serial += 1
        return path.rename(path.with_name(f"{HIDDEN_PREFIX}{self._serial}"))

    def _settle(self, changes: list[_Change]) -> None:
        for change in changes:
            with suppress(FileNotFoundError):
                change.settle()
