"""What the kernel is told without being asked: what to forget. None of it waits for a request.

The binding has no word for names that end; the kernel takes it from the device itself, since 6.16.
Source: linux/fuse.h, ``fuse_out_header`` and ``FUSE_NOTIFY_INC_EPOCH``.
"""

import os
import struct
from errno import EINVAL
from typing import Protocol

from pmxcfs.surroundings import News

_HEADER = struct.Struct("=IiQ")
_INC_EPOCH = 8


class Connection(Protocol):
    """A connection to the kernel, mounted, whose requests wait to be taken."""

    async def serve(self) -> None:
        """Answer requests until ``stop`` was called and those under way have their answers."""

    def stop(self) -> None:
        """Take no more requests."""

    def hear_too(self, news: News) -> None:
        """Hear what requests wait for between requests, if this binding can do that."""

    @property
    def descriptor(self) -> int:
        """The descriptor of the device that the mount came with."""

    def silence_opens(self) -> bool:
        """Have files opened and closed without a request, if this binding can do that.

        To be called before ``serve``. What is cut at its opening is then cut by a request.
        """

    def forget_attributes(self, inode: int) -> None:
        """Forget what is remembered of an inode, see ``invalidation.Notifier``."""

    def close(self) -> None:
        """Unmount, unless somebody else already did."""


class Kernel:
    """The kernel's side of the mount.

    Attributes:
        forgets_names: whether it can be told to look up all names again.
    """

    def __init__(self, connection: Connection) -> None:
        self._device = connection.descriptor
        self.forget_attributes = connection.forget_attributes
        self.forgets_names = self._can_forget_names()

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
