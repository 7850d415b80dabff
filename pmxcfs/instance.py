"""One daemon at a time: the directories, the lock file, the PID file and the restart flag.

Source: docs/PROTOCOL.md, "Process".
"""

import fcntl
import grp
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from pmxcfs.options import Options

log = structlog.get_logger("main")

GROUP_NAME = "www-data"
LOCK_TRIES = 11
LOCK_PAUSE_S = 1.0
STARTS_AHEAD_S_MAX = 60
"""Further ahead than this the last start is one before the clock was set back."""

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FRESH = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class StartError(Exception):
    """The daemon cannot start; the text says why and what to do."""


def group_id() -> int:
    """Return the gid of the group that may read the file system.

    Raises:
        StartError: the group does not exist.
    """
    try:
        return grp.getgrnam(GROUP_NAME).gr_gid
    except KeyError:
        hint = f"create it with: groupadd --system {GROUP_NAME}"
        raise StartError(f"there is no group {GROUP_NAME}; {hint}") from None


def prepare_directories(options: Options, gid: int) -> None:
    """Make the state and run directories, and give the run directory to the group.

    Raises:
        StartError: one of them can't be made, or others could put links into it.
    """
    try:
        for path in (options.state_dir, options.run_dir):
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            _check_is_ours(path)
        os.chown(options.run_dir, 0, gid)
    except OSError as error:
        raise StartError(f"cannot prepare {error.filename}: {error.strerror}") from error


def _check_is_ours(directory: Path) -> None:
    """Make sure that only we decide what is at a name in there: root follows links of anybody."""
    found = directory.stat()
    if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
        hint = f"chown root {directory}; chmod go-w {directory}"
        raise StartError(f"others than root can write to {directory}: {hint}")


@contextmanager
def only_one(lock_file: Path, pause_s: float = LOCK_PAUSE_S) -> Iterator[None]:
    """Hold the lock file, waiting up to ten pauses for a predecessor to end.

    Raises:
        StartError: another daemon keeps holding it, or it can't be opened.
    """
    try:
        descriptor = os.open(
            lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise StartError(f"cannot open {lock_file}: {error.strerror}") from error
    try:
        _lock(descriptor, lock_file, pause_s)
        yield
    finally:
        os.close(descriptor)


def start_time(lock_file: Path, now_s: int) -> int:
    """Return the second that this start is known by, never that of the start before.

    Clients keep what they have read until it or a counter changes, and the counters begin anew. The
    lock file, which the caller holds, remembers it.
    """
    text = lock_file.read_text("ascii", "replace")
    last_s = int(text) if text.isdecimal() else 0
    started_s = last_s + 1 if 0 <= last_s - now_s < STARTS_AHEAD_S_MAX else now_s
    with suppress(OSError):  # a full disk: then it is the time of now, as it nearly always is
        lock_file.write_text(f"{started_s}")
    return started_s


def _lock(descriptor: int, lock_file: Path, pause_s: float) -> None:
    for attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 0:
                log.info("another pmxcfs holds the lock, trying again", lock_file=lock_file)
            if attempt + 1 < LOCK_TRIES:
                time.sleep(pause_s)
        else:
            return
    raise StartError(f"another pmxcfs is running: it holds {lock_file}; stop it first")


@contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """Keep a file with our process id for as long as we run.

    Raises:
        StartError: it can't be written.
    """
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
            draft.write(f"{os.getpid()}\n")
            os.fchmod(draft.fileno(), 0o644)
        Path(draft.name).rename(path)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def restart_flag(path: Path, gid: int) -> Iterator[None]:
    """Take the restart flag away while we run, and set it when we end cleanly.

    Clients of the IPC service who find the flag try again for a while instead of failing.
    """
    path.unlink(missing_ok=True)
    yield
    try:
        path.unlink(missing_ok=True)
        with open(path, "wb", opener=lambda name, _: os.open(name, _FRESH, 0o440)) as flag:
            os.fchown(flag.fileno(), 0, gid)
    except OSError as error:
        log.warning("cannot set the restart flag", path=path, reason=error.strerror)
