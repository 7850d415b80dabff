"""How long each lock has been held unchanged, by our own clock.

A lock is a directory below ``priv/lock``. Ages are never derived from stored times: they count from
when this process first saw the lock in its present state.
"""

from collections.abc import Iterable, Iterator

from pmxcfs.values import value

LOCK_LIFETIME_S = 120


@value(frozen=True, slots=True)
class _Sighting:
    checksum: bytes
    since_s: int


class LockTable:
    """When each lock was first seen with its present checksum (32 bytes).

    ``now_s`` is our clock in seconds, whatever its origin. If it may be stepped, somebody says
    with ``follow`` how far it is from one that is not, and no step makes a lock older or younger.

    Source: docs/PROTOCOL.md, "Locks".
    """

    def __init__(self) -> None:
        self._sightings: dict[bytes, _Sighting] = {}
        self._shift_s: int | None = None

    def follow(self, steady_s: int, now_s: int) -> None:
        """Count by a steady clock, which shows ``steady_s`` where ours shows ``now_s``."""
        if self._shift_s is None:
            self._sightings = {
                path: _Sighting(seen.checksum, seen.since_s + steady_s - now_s)
                for path, seen in self._sightings.items()
            }
        self._shift_s = steady_s - now_s

    def __len__(self) -> int:
        """Count the locks."""
        return len(self._sightings)

    def __contains__(self, path: object) -> bool:
        """Whether a timer runs for the lock at this path."""
        return path in self._sightings

    def ages(self, now_s: int) -> Iterator[tuple[bytes, int]]:
        """Yield the path of each lock and for how many seconds it has been in its state."""
        for path, seen in self._sightings.items():
            yield path, max(0, self.steady_s(now_s) - seen.since_s)

    def start(self, path: bytes, checksum: bytes, now_s: int) -> None:
        """Start the timer of a lock, or start it anew."""
        self._sightings[path] = _Sighting(checksum, self.steady_s(now_s))

    def drop(self, path: bytes) -> None:
        """Forget a lock, which may be unknown."""
        self._sightings.pop(path, None)

    def has_expired(self, path: bytes, checksum: bytes, now_s: int) -> bool:
        """Whether the lock has been in this state for more than its lifetime.

        A lock that is unknown or was seen in another state has its timer started instead.
        """
        seen = self._sightings.get(path)
        if seen is None or seen.checksum != checksum:
            self.start(path, checksum, now_s)
            return False
        return self.steady_s(now_s) - seen.since_s > LOCK_LIFETIME_S

    def rebuild(self, locks: Iterable[tuple[bytes, bytes]], now_s: int) -> None:
        """Take over the locks of another tree, given as (path, checksum).

        Timers start now, except that a lock which did not change keeps its age. (The reference
        means to do that too but starts all of them anew.)
        """
        sightings = {}
        for path, checksum in locks:
            seen = self._sightings.get(path)
            if seen is None or seen.checksum != checksum:
                seen = _Sighting(checksum, self.steady_s(now_s))
            sightings[path] = seen
        self._sightings = sightings

    def steady_s(self, now_s: int) -> int:
        """Return what the steady clock shows where ours shows ``now_s``; ours if there is none."""
        return now_s + (self._shift_s or 0)
