"""Times and states in words, as the report and `watch` show them."""

from pmxcfs_lab.runs.timelines import Band


def state(band: Band) -> str:
    """Return what became of a fault, in words."""
    if band.was_refused:
        return "refused: it could not be had here"
    return "healed" if band.is_healed else "not healed before the end"


def span(start: float, end: float) -> str:
    """Return a stretch of time as `1:02.5 to 1:07.0 (4.5 s)`."""
    return f"{clock(start)} to {clock(end)} ({end - start:.1f} s)"


def clock(t: float) -> str:
    """Return a time as minutes, seconds and tenths."""
    tenths = round(t * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def duration_text(ms: float | None) -> str:
    """Return a latency for people: three digits at most."""
    if ms is None:
        return "-"
    if ms >= 999.5:
        return f"{ms / 1000:.3g} s"
    return f"{ms:.3g} ms"
