"""Which reads saw a text that was too old, or not written yet."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pmxcfs.fuse.attributes import CACHE_S

LEGAL_FOR_S = max(1.0, CACHE_S)
"""So long after a write was acknowledged what it replaced may still be read."""


@dataclass(frozen=True, slots=True)
class Written:
    """One write of a text to a file, and when the call began and ended."""

    file: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Reads of one text in a row: when the first ended and when the last began."""

    file: str
    text: str
    first_end_s: float
    last_start_s: float


def illegal(seen: Iterable[Seen], writes: Sequence[Written]) -> Iterator[str]:
    """Say of each read what is wrong with it.

    A text may be read from the start of its write until a second after the acknowledgement of one
    that surely came later, because it began when the text's own write had been acknowledged.
    """
    by_text = {(write.file, write.text): write for write in writes}
    by_file: dict[str, list[Written]] = {}
    for write in writes:
        by_file.setdefault(write.file, []).append(write)
    for read in seen:
        own = by_text.get((read.file, read.text))
        if own is None:
            yield f"{read}: nobody wrote that"
        elif read.first_end_s < own.start_s:
            yield f"{read}: not written yet, {own}"
        else:
            later = (other.end_s for other in by_file[read.file] if other.start_s > own.end_s)
            age_s = read.last_start_s - min(later, default=read.last_start_s)
            if age_s > LEGAL_FOR_S:
                yield f"{read}: {age_s:.3f} s too old, {own}"
