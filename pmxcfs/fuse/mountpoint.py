"""The directory that the file system is mounted on, and what may be in its way."""

import ctypes
import os
from errno import ECONNABORTED, ENOTCONN
from pathlib import Path

import structlog

log = structlog.get_logger("main")

_DEAD = (ENOTCONN, ECONNABORTED)
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


class MountError(Exception):
    """The file system cannot be mounted; the sentence says why and names the directory."""


def prepare(directory: Path) -> Path:
    """Make a directory fit to be mounted on; return its real path.

    A dead mount, as a crashed daemon leaves it, is taken away; a missing directory is made.
    Blocks as long as a mount in the way does.

    Raises:
        MountError: it is in use, not empty, or cannot be made.
    """
    mountpoint = directory.resolve()
    while mount_id(mountpoint) is not None and _is_dead(mountpoint):
        log.info("taking away the dead mount of a predecessor", mountpoint=str(mountpoint))
        detach(mountpoint)
    try:
        mountpoint.mkdir(0o750, exist_ok=True)
        with os.scandir(mountpoint) as names:
            is_empty = next(names, None) is None
    except OSError as error:
        raise MountError(f"cannot mount on {mountpoint}: {error.strerror}") from error
    if not is_empty:
        if mount_id(mountpoint) is not None:
            raise MountError(f"something is mounted on {mountpoint} already")
        raise MountError(f"mountpoint is not empty: {mountpoint}")
    return mountpoint


def detach(mountpoint: Path) -> None:
    """Take a mount out of the directory tree at once; those who use it keep what they have.

    Raises:
        MountError: the kernel refused.
    """
    if _libc.umount2(os.fsencode(mountpoint), _MNT_DETACH):
        reason = os.strerror(ctypes.get_errno())
        raise MountError(f"cannot unmount {mountpoint}: {reason}")


def mount_id(mountpoint: Path) -> int | None:
    """Return the id of the topmost mount on this directory; does not touch it."""
    wanted = os.fsencode(mountpoint)
    found = None
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        fields = line.split(b" ")
        if _unescaped(fields[4]) == wanted:
            found = int(fields[0])
    return found


def _is_dead(mountpoint: Path) -> bool:
    try:
        os.statvfs(mountpoint)  # the attributes may still be in the memory of the kernel
    except OSError as error:
        return error.errno in _DEAD
    return False


def _unescaped(field: bytes) -> bytes:
    """Return a path of the mount table; blanks, tabs, newlines and backslashes are octal there."""
    for character in b" \t\n\\":
        field = field.replace(b"\\%03o" % character, bytes([character]))
    return field
