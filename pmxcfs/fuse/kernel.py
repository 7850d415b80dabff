"""What the kernel is told without being asked: what to forget. None of it waits for a request.

The binding has no word for names that end; the kernel takes it from the device itself, since 6.16.
Source: linux/fuse.h, ``fuse_out_header`` and ``FUSE_NOTIFY_INC_EPOCH``.
"""

import contextlib
import os
import struct
from errno import EINVAL
from pathlib import Path

import pyfuse3

_HEADER = struct.Struct("=IiQ")
_INC_EPOCH = 8
_DEVICE = Path("/dev/fuse")


class Kernel:
    """The kernel's side of the mount.

    Attributes:
        forgets_names: whether it can be told to look up all names again.
    """

    def __init__(self) -> None:
        self._device = _session_descriptor()
        self.forgets_names = self._can_forget_names()

    def forget_attributes(self, inode: int) -> None:
        """Forget what is remembered of an inode, see ``invalidation.Notifier``."""
        pyfuse3.invalidate_inode(inode, attr_only=True)

    def forget_names(self) -> None:
        """Look every name up again before it is used. It counts a number up and never blocks.

        Raises:
            OSError: the mount is gone; EINVAL, this kernel does not know the word.
        """
        os.write(self._device, _HEADER.pack(_HEADER.size, _INC_EPOCH, 0))

    def _can_forget_names(self) -> bool:
        try:
            self.forget_names()
        except OSError as error:
            if error.errno != EINVAL:
                raise
            return False
        return True


def _session_descriptor() -> int:
    """Return the binding's descriptor of the device; there is one mount in a process."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if link.readlink() == _DEVICE:
                return int(link.name)
    raise OSError(EINVAL, "the binding has not opened the device")
