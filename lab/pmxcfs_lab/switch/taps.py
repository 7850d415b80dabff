"""Network interfaces whose other end is this process, made in the namespaces of nodes."""

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFREQ = "16sH22x"

_libc = ctypes.CDLL(None, use_errno=True)


def open_tap(pid: int, name: str) -> int:
    """Make a TAP device in the network namespace of a process; return its descriptor.

    It reads and writes whole Ethernet frames and does not block. The device ends with it.

    Raises:
        OSError: there is no such process, a device of that name is there, or no right to make one.
    """
    with _in_network_of(pid):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            request = struct.pack(IFREQ, name.encode(), IFF_TAP | IFF_NO_PI)
            fcntl.ioctl(fd, TUNSETIFF, request)
        except OSError:
            os.close(fd)
            raise
    return fd


@contextmanager
def _in_network_of(pid: int) -> Iterator[None]:
    """Be in the other's network namespace meanwhile; only for processes with a single thread."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        theirs = os.open(Path(f"/proc/{pid}/ns/net"), os.O_RDONLY)
        try:
            _enter(theirs)
        finally:
            os.close(theirs)
        try:
            yield
        finally:
            _enter(ours)
    finally:
        os.close(ours)


def _enter(namespace_fd: int) -> None:
    if _libc.setns(namespace_fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "setns")
