"""How path texts are taken apart, and which of them name locks.

Paths are bytes relative to the root. Lookups ignore leading, trailing and doubled slashes; rules
that look at the text of a path compare it as it is.
"""

LOCK_DIRECTORY = b"priv/lock"
_LOCK_PREFIX = LOCK_DIRECTORY + b"/"

_ROOT_PATHS = (b"", b".", b"/")


def components(path: bytes) -> list[bytes]:
    """Return the names to follow from the root; none for the root itself.

    ``.`` alone means the root; within a path ``.`` and ``..`` are ordinary names.

    Source: docs/PROTOCOL.md, "Operations".
    """
    if path in _ROOT_PATHS:
        return []
    return [name for name in path.split(b"/") if name]


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return the path of the directory and the last component, which is empty for the root."""
    directory, _, base = path.rstrip(b"/").rpartition(b"/")
    return directory.rstrip(b"/"), base


def is_private(path: bytes) -> bool:
    """Whether only root may see what a lookup of this path finds, however it is spelled.

    Private are ``priv`` and all below it, also in the directory of a node.

    Source: docs/PROTOCOL.md, "Mount".
    """
    names = components(path)
    return names[:1] == [b"priv"] or (names[:1] == [b"nodes"] and names[2:3] == [b"priv"])


def is_lock_path(path: bytes) -> bool:
    """Whether a directory at this path can be unlocked, and must not be renamed; at any depth.

    Source: docs/PROTOCOL.md, "Locks".
    """
    return len(path) > len(_LOCK_PREFIX) and path.startswith(_LOCK_PREFIX)
