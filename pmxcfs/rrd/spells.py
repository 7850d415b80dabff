"""Bad spells: something does not work for a while. One line when it begins, one when it is over."""

import time

import structlog

log = structlog.get_logger("status")


class Spell:
    """A state that begins, costs some metrics, and ends.

    Args:
        began: the sentence for the log when it begins.
        over: the sentence for the log when it is over.

    Attributes:
        dropped: how much was lost in all spells so far.
    """

    def __init__(self, began: str, over: str) -> None:
        self.dropped = 0
        self._began = began
        self._over = over
        self._since_s: float | None = None
        self._dropped_before = 0

    @property
    def is_on(self) -> bool:
        """Whether it has begun, and not ended."""
        return self._since_s is not None

    def drop(self, **facts: object) -> None:
        """Count something that is lost; the first begins the spell, and the facts say of what."""
        if self._since_s is None:
            self._since_s = time.monotonic()
            log.warning(self._began, **facts)
        self.dropped += 1

    def end(self) -> None:
        """It is over, if it ever began."""
        if self._since_s is not None:
            lasted_s = round(time.monotonic() - self._since_s, 1)
            log.info(self._over, dropped=self.dropped - self._dropped_before, lasted_s=lasted_s)
            self._since_s, self._dropped_before = None, self.dropped


class Complaints:
    """What was said of each file, so that nobody reads it twice before it has worked again."""

    NAMES_MAX = 1000

    def __init__(self) -> None:
        self._names: set[str] = set()

    def say(self, sentence: str, name: str, reason: str) -> None:
        """Log that something is wrong with a name, the first time."""
        if name in self._names:
            return
        if len(self._names) >= self.NAMES_MAX:
            self._names.clear()
        self._names.add(name)
        log.warning(sentence, key=name, reason=reason)

    def forget(self, name: str) -> None:
        """It has worked."""
        self._names.discard(name)
