"""The cluster's files as a client sees them, by a descriptor of the mount and never without it.

Below the mount lies an ordinary folder. Who opens paths would write there while the daemon is
away, and believe the cluster had taken it; so all names are looked up from a descriptor that is
known to be the mount's, and dies with it.
"""

import errno
import os
from pathlib import Path

MOUNT = Path("/etc/pve")


class Mount:
    """All paths are relative to the mount; every method raises OSError."""

    def __init__(self) -> None:
        self._root: int | None = None

    def is_there(self) -> bool:
        """Tell if something is mounted, and have it open from now on."""
        if self._root is not None:
            return True
        try:
            root = os.open(MOUNT, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            is_mounted = os.fstat(root).st_dev != MOUNT.parent.stat().st_dev
        except OSError:
            is_mounted = False
        if is_mounted:
            self._root = root
        else:
            os.close(root)
        return is_mounted

    def forget(self) -> None:
        """Look for the mount anew before the next call: this one is dead."""
        root, self._root = self._root, None
        if root is not None:
            os.close(root)

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        with open(path, "rb", opener=self._open) as file:
            return file.read()

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        fill(self._open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), content)

    def make(self, path: str) -> int:
        """Make a file that must not exist; return its descriptor."""
        return self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def sync(self, folder: str) -> None:
        """Have all that was answered on this node made durable."""
        descriptor = self._open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        descriptor = self._open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.listdir(descriptor)  # noqa: PTH208  (a descriptor, no path)
        finally:
            os.close(descriptor)

    def rename(self, path: str, target: str) -> None:
        """Move a file, replacing what is at the target."""
        os.rename(path, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def mkdir(self, path: str) -> None:
        """Make a folder that must not exist."""
        os.mkdir(path, dir_fd=self._descriptor)

    def rmdir(self, path: str) -> None:
        """Remove a folder."""
        os.rmdir(path, dir_fd=self._descriptor)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path, dir_fd=self._descriptor)

    def touch(self, path: str, time_s: int) -> None:
        """Set a time; 0 on a lock asks to have it broken if it is stale."""
        os.utime(path, (time_s, time_s), dir_fd=self._descriptor)

    @property
    def _descriptor(self) -> int:
        """The mount; without one a relative path would be one of this process's own folder."""
        if self._root is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._root

    def _open(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o640, dir_fd=self._descriptor)


def fill(descriptor: int, content: bytes) -> None:
    """Write a whole content in steps of 128 KiB, and close."""
    try:
        for start in range(0, len(content), 1 << 17):
            os.write(descriptor, content[start : start + (1 << 17)])
    finally:
        os.close(descriptor)
