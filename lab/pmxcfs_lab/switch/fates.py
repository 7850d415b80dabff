"""What becomes of each frame, by its number on its way and a seed: pure, knows no clock.

The n-th frame of a way meets the same chances in every run with the same seed, whatever happens on
the other ways. So chance is not drawn one after the other, but reckoned from the number.
"""

from dataclasses import dataclass, field
from hashlib import blake2b

from pmxcfs_lab.links.rules import Quality, Way

HELD_BACK_S = 0.010
"""How much later a frame comes that others overtake."""

BACKLOG_S_MAX = 0.5
"""What would wait longer than this for a slow way is lost."""

BITS = 64
HEADER_SIZE = 14
"""Of an Ethernet frame; a flipped bit is never in it, so that the frame still gets there."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A frame as it arrives.

    Attributes:
        at_s: when, on the clock of `now_s`.
        flipped_bit: which bit of it is wrong, counted from its first; None for none.
    """

    at_s: float
    flipped_bit: int | None = None


@dataclass(slots=True)
class WayState:
    """One way so far.

    Attributes:
        seed: reckoned from the switch's seed and the way.
        frames: how many were sent on it.
        free_s: when it has carried all that it was given, at its rate.
        last_s: when the last frame arrives that must not be overtaken.
    """

    seed: int
    frames: int = 0
    free_s: float = field(default=0.0)
    last_s: float = field(default=0.0)


def way_seed(seed: int, way: Way) -> int:
    """Return a number of 64 bits that is the way's own."""
    text = f"{seed}/{way[0]}/{way[1]}/{way[2]}".encode()
    return int.from_bytes(blake2b(text, digest_size=BITS // 8).digest(), "big")


def fate(state: WayState, quality: Quality, size: int, now_s: float) -> tuple[Copy, ...]:
    """Return how a frame arrives: once, twice, later, damaged, or not at all.

    Args:
        state: of its way; taken on.
        quality: of its way.
        size: bytes of the frame.
        now_s: when it was sent, on any clock that never goes back.
    """
    chances = _Chances(state.seed, state.frames)
    state.frames += 1
    if chances.next() < quality.loss:
        return ()
    at_s = now_s
    if quality.rate_kbit > 0:
        at_s = max(now_s, state.free_s) + size * 8 / (quality.rate_kbit * 1000)
        if at_s - now_s > BACKLOG_S_MAX:
            return ()
        state.free_s = at_s
    at_s += (quality.delay_ms + chances.next() * quality.jitter_ms) / 1000
    if chances.next() < quality.reorder:
        at_s += HELD_BACK_S
    else:
        at_s = state.last_s = max(at_s, state.last_s)
    flipped = None
    if chances.next() < quality.corrupt and size > HEADER_SIZE:
        flipped = HEADER_SIZE * 8 + int(chances.next() * (size - HEADER_SIZE) * 8)
    copies = 2 if chances.next() < quality.duplicate else 1
    return (Copy(at_s, flipped),) * copies


def flip(frame: bytes, bit: int) -> bytes:
    """Return the frame with one bit turned."""
    damaged = bytearray(frame)
    damaged[bit // 8] ^= 0x80 >> bit % 8
    return bytes(damaged)


class _Chances:
    """Numbers from 0 to below 1 for one frame: splitmix64, started at the frame's number."""

    MASK = (1 << BITS) - 1
    STEP = 0x9E3779B97F4A7C15
    PER_FRAME = 8
    """More than any frame needs."""

    def __init__(self, seed: int, frame: int) -> None:
        self._state = (seed + frame * self.PER_FRAME * self.STEP) & self.MASK

    def next(self) -> float:
        """Return the next one."""
        self._state = (self._state + self.STEP) & self.MASK
        mixed = self._state
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & self.MASK
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & self.MASK
        return (mixed ^ mixed >> 31) / (1 << BITS)
