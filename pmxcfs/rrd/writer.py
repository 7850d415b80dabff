"""Brings metrics into their files in a thread, so that a disk or rrdcached that hangs costs nothing
but those metrics.

Through rrdcached where it runs, else directly; a value that rrdcached refuses is tried directly
too, as the reference does. While it runs and does not answer, nothing is written: it may hold
values that are older than ours.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from pmxcfs.errors import ProtocolError
from pmxcfs.rrd.files import DirectoryMissingError, FileRefusedError, RrdFiles
from pmxcfs.rrd.room import NoRoomError, Room
from pmxcfs.rrd.rrdcached import NotRunningError, Rrdcached, SilentError
from pmxcfs.rrd.spells import Complaints, Spell
from pmxcfs.status.archives import ArchiveUpdate, archive_update

log = structlog.get_logger("status")

QUEUE_MAX = 4096
"""How many values may wait; a large cluster publishes that many in some ten seconds."""

ANSWER_S_MAX = 2.0
RETRY_S = 5.0
"""How long a silent rrdcached is left alone before it is tried with the next value."""


class RrdWriter:
    """A thread with a bounded queue.

    Args:
        directory: of all RRD files.
        rrdcached: its socket.
        clock: returns UNIX seconds.
        answer_s_max: how long rrdcached may take for one value.
        retry_s: how long it is left alone when it took longer.
        queue_max: how many values may wait.
        room: how many files there may be.

    Attributes:
        written: how many values are in their files, or with rrdcached.
        refused: how many made no sense, or were older than what their file has.
    """

    def __init__(
        self,
        directory: Path,
        rrdcached: Path,
        *,
        clock: Callable[[], float] = time.time,
        answer_s_max: float = ANSWER_S_MAX,
        retry_s: float = RETRY_S,
        queue_max: int = QUEUE_MAX,
        room: Room | None = None,
    ) -> None:
        self.written = 0
        self.refused = 0
        self._clock = clock
        self._retry_s = retry_s
        self._queue_max = queue_max
        self._room = room or Room(directory)
        self._files = RrdFiles(directory, self._room, clock)
        self._daemon = Rrdcached(rrdcached, answer_s_max)
        self._retry_at_s = 0.0
        self._complaints = Complaints()
        self._silence = Spell(
            "rrdcached does not answer: metrics are shown, but not written until it does",
            "rrdcached answers again",
        )
        self._absence = Spell(
            "there is no directory for RRD files: metrics are shown, but not written until "
            "somebody makes it, or pmxcfs is started with another --rrd-dir",
            "the directory for RRD files is there now",
        )
        self._crowding = Spell(
            "there is no room for more RRD files: metrics of what is new are shown, but not "
            "written",
            "there is room for more RRD files again",
        )
        self._jam = Spell(
            "RRD files are written too slowly: metrics are shown, but not all are written",
            "RRD files are written in time again",
        )
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._is_stopping = False
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="rrd", daemon=True)

    @property
    def dropped(self) -> int:
        """How many values were lost: the disk or rrdcached did not keep up, or had no room."""
        spells = (self._silence, self._absence, self._crowding, self._jam)
        return sum(spell.dropped for spell in spells)

    def __len__(self) -> int:
        """Count the values that wait."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Write what waits, and wait for the thread; false means that it did not end in time."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def put(self, key: bytes, text: bytes) -> None:
        """Have metrics written when their turn comes; never blocks.

        Args:
            key: without ``rrd/``.
            text: without the NUL.
        """
        with self._work:
            if len(self._queue) >= self._queue_max:
                self._jam.drop(waiting=len(self._queue))
                return
            if len(self._queue) <= self._queue_max // 2:
                self._jam.end()
            self._queue.append((key, text))
            self._work.notify()

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._is_stopping or self._queue)
                if not self._queue:
                    break
                key, text = self._queue.popleft()
            self._write(key.decode(errors="backslashreplace"), key, text)
        self._daemon.close()

    def _write(self, name: str, key: bytes, text: bytes) -> None:
        if self._silence.is_on and time.monotonic() < self._retry_at_s:
            self._silence.drop()
            return
        try:
            update = archive_update(key, text, int(self._clock()))
            path = self._files.prepare(update)
            self._absence.end()
            if not self._room.is_full:
                self._crowding.end()
            self._hand_over(path, update)
            self.written += 1
            self._complaints.forget(name)
        except ProtocolError as error:
            self._refuse("RRD update error: unknown/wrong key or value", name, error)
        except FileRefusedError as error:
            self._refuse("RRD update error", name, error)
        except DirectoryMissingError as error:
            self._absence.drop(directory=str(error))
        except NoRoomError as error:
            self._crowding.drop(reason=str(error), key=name)
        except SilentError as error:
            self._retry_at_s = time.monotonic() + self._retry_s
            self._silence.drop(reason=str(error))
        except Exception:
            self.refused += 1
            log.exception("metrics could not be written, which should not happen", key=name)

    def _hand_over(self, path: Path, update: ArchiveUpdate) -> None:
        try:
            self._daemon.update(path, update.text)
            self._silence.end()
        except (NotRunningError, FileRefusedError):
            self._silence.end()
            self._files.update(path, update.text)

    def _refuse(self, sentence: str, name: str, error: Exception) -> None:
        self.refused += 1
        self._complaints.say(sentence, name, str(error))
