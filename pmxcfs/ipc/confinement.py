"""Takes from the porter what it does not need: all files but shared memory, most of root's might.

libqb keeps, in memory that clients can write, the names of the files that it removes when they
leave. What it can be made to remove, or to do, ends at the walls that are put up here.

Source: docs/SECURITY.md.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

SHARED_MEMORY = "/dev/shm"
NEW_ROOT = "/run"
"""Any directory, covered in a mount namespace of our own."""

_CLONE_NEWNS = 0x0002_0000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x2008_0522
_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER = 0, 1, 3

_KEPT = 1 << _CAP_CHOWN | 1 << _CAP_DAC_OVERRIDE | 1 << _CAP_FOWNER
"""Shared memory is made for clients, given to them, and removed."""


def confine() -> None:
    """See nothing but shared memory from now on, and be root in little more than name.

    What is not imported yet cannot be any more. Without being root there is nothing to take.

    Raises:
        OSError: the kernel does not allow it; how far it went is unknown.
    """
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare, _CLONE_NEWNS)
    _check(libc.mount, None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _check(libc.mount, b"porter", NEW_ROOT.encode(), b"tmpfs", flags, b"size=64k,mode=755")
    inside = NEW_ROOT + SHARED_MEMORY
    Path(inside).mkdir(parents=True)
    _check(libc.mount, SHARED_MEMORY.encode(), inside.encode(), None, _MS_BIND, None)
    os.chdir(NEW_ROOT)
    _check(libc.pivot_root, b".", b".")
    _check(libc.umount2, b".", _MNT_DETACH)
    os.chdir("/")
    _check(libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(_KEPT, _KEPT, 0, 0, 0, 0)
    _check(libc.capset, header, sets)


def _check(call: Callable[..., int], *arguments: object) -> None:
    numbers = (ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)
    if call(*numbers) < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), getattr(call, "__name__", None))
