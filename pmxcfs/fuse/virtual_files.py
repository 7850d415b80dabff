"""What stands at the root of the mount without being in the tree: status files and links."""

from collections.abc import Callable
from dataclasses import dataclass
from errno import EIO

from pmxcfs.errors import OperationError


@dataclass(frozen=True, slots=True)
class VirtualFile:
    """A file whose text is made when somebody looks at it.

    Attributes:
        name: its name in the root directory.
        mode: its permission bits; they do not depend on quorum.
        read: returns the text of this moment.
        write: takes what was written at offset 0 and returns how many bytes it accepts, or raises
            OperationError; None makes every write EIO.
    """

    name: bytes
    mode: int
    read: Callable[[], bytes]
    write: Callable[[bytes], int] | None = None


@dataclass(frozen=True, slots=True)
class VirtualLink:
    """A symbolic link; its target, relative to the root, need not exist."""

    name: bytes
    target: bytes


VirtualObject = VirtualFile | VirtualLink


def node_links(node_name: str) -> tuple[VirtualLink, ...]:
    """Return the links to the directories of our own node."""
    home = b"nodes/" + node_name.encode()
    kinds = (b"qemu-server", b"lxc", b"openvz")
    return (
        VirtualLink(b"local", home),
        *(VirtualLink(kind, home + b"/" + kind) for kind in kinds),
    )


def read_only(name: bytes, read: Callable[[], bytes]) -> VirtualFile:
    """Return a status file for root and the group to read."""
    return VirtualFile(name, 0o440, read)


def debug_switch(is_on: Callable[[], bool], turn: Callable[[bool], None]) -> VirtualFile:
    """Return ``.debug``, which reads as 0 or 1 and a newline, and is written the same way.

    What follows the newline of a write is not accepted; anything else is EIO.
    """

    def read() -> bytes:
        return b"1\n" if is_on() else b"0\n"

    def write(text: bytes) -> int:
        if text[:2] not in (b"0\n", b"1\n"):
            raise OperationError(EIO)
        turn(text.startswith(b"1"))
        return 2

    return VirtualFile(b".debug", 0o640, read, write)
