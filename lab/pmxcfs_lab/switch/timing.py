"""Virtual time and the numbers of frames: what makes a moment of one run the same in another.

Virtual time follows the clock in ticks of 10 ms. Each tick has numbers for 1000 frames, from
tick * 1000 on; a frame takes the next number, and those that a tick does not use pass unused at its
end. So a number tells both when and how many frames into the tick, and every number passes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TICKS_PER_S = 100
FRAMES_PER_TICK = 1000


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A place in virtual time.

    Attributes:
        frame: the number of the first frame that comes after it.
    """

    frame: int

    @classmethod
    def at(cls, virtual_s: float, frames_later: int = 0) -> "Moment":
        """Return the moment so many frames into the tick of that time."""
        if not 0 <= frames_later < FRAMES_PER_TICK:
            raise ValueError(f"a tick has {FRAMES_PER_TICK} frames, not {frames_later}")
        return cls(round(virtual_s * TICKS_PER_S) * FRAMES_PER_TICK + frames_later)

    @property
    def virtual_s(self) -> float:
        """The virtual time of its tick."""
        return self.frame // FRAMES_PER_TICK / TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that shall happen at a moment.

    Attributes:
        moment: before the first frame with its number.
        key: whose rules change then; None if nothing changes in the switch.
        rules: JSON of the rules that it has from then on.
        note: what is said to whoever listens, with the moment.
    """

    moment: Moment
    key: str | None
    rules: list[dict[str, Any]]
    note: dict[str, Any]


class Timetable:
    """Numbers frames, and says which entries are due before the next one.

    Args:
        entries: in any order; those of one moment are due in the order given.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = sorted(entries, key=lambda entry: entry.moment)[::-1]
        self._next_frame = 0

    @property
    def now(self) -> Moment:
        """The number that the next frame gets."""
        return Moment(self._next_frame)

    def pass_time(self, clock_s: float) -> list[Entry]:
        """Let the numbers of all ticks that are over pass; return what became due, in order.

        Args:
            clock_s: seconds since the timetable's start.
        """
        self._next_frame = max(self._next_frame, int(clock_s * TICKS_PER_S) * FRAMES_PER_TICK)
        return self._due()

    def number_frame(self) -> list[Entry]:
        """Give the next number to a frame; return what is due before it passes."""
        due = self._due() if self._entries else []
        self._next_frame += 1
        return due

    def next_at_s(self) -> float | None:
        """Return when, on the clock of `pass_time`, the next entry is due at the latest."""
        if not self._entries:
            return None
        tick, later = divmod(self._entries[-1].moment.frame, FRAMES_PER_TICK)
        return (tick + (1 if later else 0)) / TICKS_PER_S

    def _due(self) -> list[Entry]:
        due = []
        while self._entries and self._entries[-1].moment.frame <= self._next_frame:
            due.append(self._entries.pop())
        return due
