"""The connection to the kernel through pyfuse3: a task for each request.

Slower than ``lowlevel``, and here for when that is in doubt.
"""

import contextlib
from errno import EINVAL
from pathlib import Path

import pyfuse3

from pmxcfs.callers import CALLERS_MAX
from pmxcfs.fuse.mountpoint import MountError
from pmxcfs.fuse.operations import PmxcfsOperations

_DEVICE = Path("/dev/fuse")

REQUESTS_AT_ONCE_MAX = 2 * CALLERS_MAX
"""However many changes wait for the group, there are places left for reads."""


class Pyfuse3Connection:
    """See ``session.Connection``.

    Raises:
        MountError: the kernel refused.
    """

    def __init__(
        self, operations: PmxcfsOperations, mountpoint: Path, options: tuple[str, ...]
    ) -> None:
        try:
            pyfuse3.init(operations, str(mountpoint), set(options))
        except RuntimeError as error:
            raise MountError(f"cannot mount on {mountpoint}: {error}") from error
        self.descriptor = _session_descriptor()

    async def serve(self) -> None:
        """Answer requests until stopped or unmounted."""
        await pyfuse3.main(max_tasks=REQUESTS_AT_ONCE_MAX)

    def stop(self) -> None:
        """Take no more requests."""
        pyfuse3.terminate()

    def silence_opens(self) -> bool:
        """See ``kernel.Connection``."""
        return False

    def forget_attributes(self, inode: int) -> None:
        """Have the kernel forget what it remembers of an inode."""
        pyfuse3.invalidate_inode(inode, attr_only=True)

    def close(self) -> None:
        """Unmount."""
        pyfuse3.close(unmount=True)


def _session_descriptor() -> int:
    """Return the binding's descriptor of the device; there is one mount in a process."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if link.readlink() == _DEVICE:
                return int(link.name)
    raise OSError(EINVAL, "the binding has not opened the device")
