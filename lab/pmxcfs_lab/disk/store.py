"""The folder behind the file system: its files, what of them is not synced, and its loss."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from pmxcfs_lab.disk.names import HIDDEN_PREFIX, Names
from pmxcfs_lab.disk.unsynced import Unsynced

ROOT = 1
"""Number of the folder itself, as FUSE has it."""


@dataclass(slots=True)
class Node:
    """A file or folder that the kernel knows.

    Attributes:
        path: where it is now.
        unsynced: what of it is not on the disk.
        fd: open while the kernel has it open.
        opened: how often.
    """

    path: Path
    unsynced: Unsynced = field(default_factory=Unsynced)
    fd: int | None = None
    opened: int = 0


class Store:
    """Everything is in the folder at once, and remembered until it is synced.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.names = Names()
        self._nodes = {ROOT: Node(root)}
        self._numbers = {root: ROOT}

    def node(self, number: int) -> Node:
        """Return the file or folder of that number."""
        return self._nodes[number]

    def number(self, path: Path) -> int:
        """Return the number of what is at that path."""
        number = self._numbers.get(path)
        if number is None:
            number = self._numbers[path] = len(self._nodes) + 1
            self._nodes[number] = Node(path)
        return number

    def entries(self, folder: Node) -> list[Path]:
        """Return what is in the folder, in order of names."""
        return sorted(path for path in folder.path.iterdir() if not is_hidden(path))

    def open(self, node: Node) -> None:
        """Open the file once more."""
        if node.fd is None:
            node.fd = os.open(node.path, os.O_RDWR)
        node.opened += 1

    def release(self, node: Node) -> None:
        """Close it once."""
        node.opened -= 1
        if node.opened == 0 and node.fd is not None:
            os.close(node.fd)
            node.fd = None

    def read(self, node: Node, offset: int, size: int) -> bytes:
        """Return content of an open file."""
        return os.pread(_fd(node), size, offset)

    def write(self, node: Node, offset: int, content: bytes) -> int:
        """Write to an open file; return how much was written."""
        fd = _fd(node)
        node.unsynced.note_write(offset, len(content), os.fstat(fd).st_size, _reader(fd))
        return os.pwrite(fd, content, offset)

    def size(self, node: Node) -> int:
        """Return how long the file is."""
        return node.path.stat().st_size

    def truncate(self, node: Node, size: int) -> None:
        """Cut or lengthen a file."""
        with node.path.open("r+b", buffering=0) as file:
            fd = file.fileno()
            node.unsynced.note_size(size, os.fstat(fd).st_size, _reader(fd))
            file.truncate(size)

    def create(self, path: Path, mode: int) -> int:
        """Make a file that is not there; return its number."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
        self.names.created(path)
        return self.number(path)

    def make_folder(self, path: Path, mode: int) -> None:
        """Make a folder."""
        path.mkdir(mode)
        self.names.made_folder(path)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; that lasts at once."""
        path.rmdir()
        self._numbers.pop(path, None)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self._moved(path, self.names.remove(path))

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, which another may have had."""
        hidden = self.names.rename(old, new)
        if hidden is not None:
            self._moved(new, hidden)
        self._moved(old, new)

    def set_times(self, node: Node, atime_ns: int | None, mtime_ns: int | None) -> None:
        """Change times; None leaves one as it is."""
        now = node.path.stat()
        times = (
            now.st_atime_ns if atime_ns is None else atime_ns,
            now.st_mtime_ns if mtime_ns is None else mtime_ns,
        )
        os.utime(node.path, ns=times)

    def set_mode(self, node: Node, mode: int) -> None:
        """Change the permissions."""
        node.path.chmod(stat.S_IMODE(mode))

    def cut_power(self, chance: Random, keep: float) -> dict[str, int]:
        """Take away what was not synced; return what that was.

        Args:
            chance: decides what reached the disk nevertheless.
            keep: share of the sectors that did.
        """
        lost = kept = 0
        for node in sorted(self._nodes.values(), key=lambda node: node.path):
            if node.unsynced.size is not None and node.path.exists():
                loss = node.unsynced.lose(self.size(node), chance, keep)
                with node.path.open("r+b") as file:
                    file.truncate(loss.size)
                    for offset, old in loss.restored.items():
                        file.seek(offset)
                        file.write(old)
                lost += loss.lost
                kept += loss.kept
        names = self.names.lose(chance, keep)
        return {"lost_sectors": lost, "kept_sectors": kept, "lost_names": names}

    def _moved(self, old: Path, new: Path) -> None:
        number = self._numbers.pop(old, None)
        if number is not None:
            self._nodes[number].path = new
            self._numbers[new] = number


def is_hidden(path: Path) -> bool:
    """Tell if it is kept only until its removal lasts."""
    return path.name.startswith(HIDDEN_PREFIX)


def _fd(node: Node) -> int:
    if node.fd is None:
        raise OSError("not open")
    return node.fd


def _reader(fd: int) -> Callable[[int, int], bytes]:
    return lambda offset, size: os.pread(fd, size, offset)
