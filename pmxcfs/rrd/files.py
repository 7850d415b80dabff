"""The directory of RRD files: makes files that are missing, and updates them with librrd.

The library comes with cairo and pango, 6 MiB of them. Where rrdcached runs it is needed for new
files only, so it is imported when it is needed.

Source: docs/PROTOCOL.md, "RRD files".
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from pmxcfs.rrd.room import Room
from pmxcfs.status.archives import STEP_S, ArchiveUpdate

DIRECTORY_MODE = 0o750


class DirectoryMissingError(Exception):
    """There is no directory for RRD files."""


class FileRefusedError(Exception):
    """A file cannot be made or does not take a value; the text says why."""


class RrdFiles:
    """Files below one directory, which somebody else makes; nothing outside it is ever touched.

    All methods wait for the disk.

    Args:
        directory: of all RRD files; may be reached through links.
        room: how many there may be.
        clock: returns UNIX seconds.
    """

    def __init__(self, directory: Path, room: Room, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._room = room
        self._clock = clock
        # Else the library would talk to a daemon by itself, and wait for it for ever.
        os.environ.pop("RRDCACHED_ADDRESS", None)

    def prepare(self, update: ArchiveUpdate) -> Path:
        """Return the file that an update is for, having made it if it is missing.

        Raises:
            DirectoryMissingError: there is nothing to make it in.
            NoRoomError: it would be one too many.
            FileRefusedError: it cannot be made, or something else stands in its place.
        """
        if not self._directory.is_dir():
            raise DirectoryMissingError(str(self._directory))
        base = self._directory.resolve()
        path = (base / update.file).resolve()
        if not path.is_relative_to(base):
            raise FileRefusedError(f"a link leads out of {base}")
        try:
            if not path.exists():
                self._room.take()
                _make_directories(base, path.parent)
                _create(path, update, self._clock())
            elif not path.is_file():
                raise FileRefusedError("it is no file")
        except OSError as error:
            raise FileRefusedError(str(error)) from error
        return path

    def update(self, path: Path, text: str) -> None:
        """Put a value into a file that is there.

        Raises:
            FileRefusedError: it is older than the newest value, or the file is damaged.
        """
        _call("update", str(path), text)


def _make_directories(base: Path, directory: Path) -> None:
    """Make what is missing between the two."""
    if directory != base:
        _make_directories(base, directory.parent)
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def _create(path: Path, update: ArchiveUpdate, now_s: float) -> None:
    """Make a file that begins with the day, in this machine's time zone."""
    now = time.localtime(now_s)
    start_s = int(time.mktime((*now[:3], 0, 0, 0, *now[6:])))
    options = ["--no-overwrite", "--start", str(start_s), "--step", str(STEP_S)]
    _call("create", str(path), *options, *update.schema.definition())


def _call(function: str, *arguments: str) -> None:
    try:
        import rrdtool
    except ImportError as error:
        raise FileRefusedError(f"librrd is missing (Debian: librrd8): {error}") from error
    try:
        getattr(rrdtool, function)(*arguments)
    except rrdtool.OperationalError as error:
        raise FileRefusedError(str(error)) from error
