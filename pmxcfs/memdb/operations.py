"""The operations that can be asked of the tree, as values.

Paths are bytes relative to the root, without a leading slash; the empty path is the root.

Source: docs/PROTOCOL.md, "Operations".
"""

from pmxcfs.values import value


@value(frozen=True, slots=True)
class Create:
    """Make an empty file; it must not exist."""

    path: bytes


@value(frozen=True, slots=True)
class Mkdir:
    """Make an empty directory; it must not exist."""

    path: bytes


@value(frozen=True, slots=True)
class Write:
    """Put ``data`` at ``offset`` (bytes) of an existing file.

    With ``truncate`` the file ends behind the data, so a truncation to N bytes is a write of
    nothing at offset N.
    """

    path: bytes
    offset: int
    data: bytes
    truncate: bool = False


@value(frozen=True, slots=True)
class SetMtime:
    """Set the modification time (seconds, unsigned 32-bit); on a lock this is a refresh."""

    path: bytes
    mtime: int


@value(frozen=True, slots=True)
class Delete:
    """Remove a file or an empty directory."""

    path: bytes


@value(frozen=True, slots=True)
class Rename:
    """Move a file or an empty directory, replacing what is at the target."""

    path: bytes
    target: bytes


@value(frozen=True, slots=True)
class UnlockRequest:
    """Ask the member with the lowest node id to release a lock if it has expired."""

    path: bytes
    checksum: bytes


@value(frozen=True, slots=True)
class Unlock:
    """Release an expired lock that still has this checksum (32 bytes)."""

    path: bytes
    checksum: bytes


Operation = Create | Mkdir | Write | SetMtime | Delete | Rename | UnlockRequest | Unlock
