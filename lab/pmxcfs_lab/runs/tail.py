"""The end of a run that goes on: its last calls and how many there are a second."""

from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.folder import HISTORY, CallEvent, Phase, read_run

FIRST_LOOK_BYTES = 1 << 18
"""Of a history that is long already, so much is read at first."""

RECENT_S = 10.0
KEPT = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that ended; None if its begin was not seen."""

    event: CallEvent
    ms: float | None


class Tail:
    """Follows the history of one run while it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ended: deque[Ended] = deque(maxlen=KEPT)
        self._decoder = msgspec.json.Decoder(CallEvent)
        self._begun: dict[int, float] = {}
        self._recent: deque[tuple[float, Phase]] = deque()
        self._now_s = 0.0
        size = _size(folder / HISTORY)
        self._offset = max(0, size - FIRST_LOOK_BYTES)
        self._is_inside_a_line = self._offset > 0

    @property
    def now_s(self) -> float:
        """When the last event was, in s since the run's start."""
        return self._now_s

    @property
    def waiting(self) -> int:
        """How many calls have begun and not ended."""
        return len(self._begun)

    def per_s(self) -> dict[Phase, float]:
        """Return the calls a second of the last seconds, by result."""
        seconds = max(1.0, min(RECENT_S, self._now_s))
        counted = Counter(phase for _, phase in self._recent)
        return {phase: count / seconds for phase, count in counted.items()}

    def read(self) -> None:
        """Take in what was written since the last time.

        Raises:
            LabError: it is no history.
        """
        try:
            with (self.folder / HISTORY).open("rb") as file:
                file.seek(self._offset)
                written = file.read()
        except FileNotFoundError:
            return
        whole = written[: written.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.splitlines()
        for line in lines[1:] if self._is_inside_a_line else lines:
            self._take(line)
        self._is_inside_a_line = self._is_inside_a_line and not lines
        while self._recent and self._recent[0][0] < self._now_s - RECENT_S:
            self._recent.popleft()

    def _take(self, line: bytes) -> None:
        try:
            event = self._decoder.decode(line)
        except msgspec.DecodeError as error:
            raise LabError(f"{self.folder / HISTORY}: {error}") from error
        self._now_s = max(self._now_s, event.t)
        if event.phase == "invoke":
            self._begun[event.id] = event.t
            return
        began_s = self._begun.pop(event.id, None)
        self.ended.append(Ended(event, None if began_s is None else (event.t - began_s) * 1000))
        self._recent.append((event.t, event.phase))


def going_on(runs: Path, *, within_s: float, now_unix_s: float) -> Path | None:
    """Return the newest run below this folder if it still grows, None otherwise."""
    found = sorted(runs.glob(f"*/{HISTORY}"), key=lambda path: path.stat().st_mtime)
    if not found or now_unix_s - found[-1].stat().st_mtime > within_s:
        return None
    folder = found[-1].parent
    return folder if read_run(folder).duration_s == 0 else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
