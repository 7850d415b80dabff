"""A lock file against two commands that build or remove the same lab at the same time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pmxcfs_lab.errors import LabError

PATIENCE_S = 2.0
"""A command that was killed leaves children which hold the lock for some milliseconds more."""


@contextmanager
def lab_lock(path: Path) -> Iterator[int]:
    """Hold the lock; yield its descriptor.

    The lock belongs to the open file, not to the process: a child that inherits the descriptor
    keeps the lock held until it has closed it too. The file is removed on the way out.

    Raises:
        LabError: somebody else holds it.
    """
    descriptor = _acquire(path, time.monotonic() + PATIENCE_S)
    try:
        yield descriptor
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):
            path.parent.rmdir()


def _acquire(path: Path, deadline_s: float) -> int:
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > deadline_s:
                raise LabError(
                    "Another command is building or removing this lab.",
                    "Wait for it, or choose another lab with LAB=name.",
                ) from None
            time.sleep(0.05)
            continue
        if _is_still_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # the last holder removed the file that we opened


def _open(path: Path) -> int:
    while True:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the last lab's command removed the folder meanwhile
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_still_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
