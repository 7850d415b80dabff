"""Since when a few things have been as they are now; for people who ask."""


class Moments:
    """Remembers for each named thing when its value changed last, by the clock it is told."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, int]] = {}
        self._last: dict[str, object] = {}

    def note(self, now_s: int, **values: object) -> None:
        """Take note of how things are at ``now_s``."""
        if values == self._last:
            return
        self._last = values
        for name, value in values.items():
            seen = self._seen.get(name)
            if seen is None or seen[0] != value:
                self._seen[name] = value, now_s

    def since_s(self, name: str) -> int | None:
        """Return when a thing became as it is; None if it was never noted."""
        seen = self._seen.get(name)
        return None if seen is None else seen[1]
