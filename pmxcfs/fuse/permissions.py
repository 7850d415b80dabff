"""Who may do what with a path: modes by path and quorum, and the rules for chmod and chown.

Everything belongs to root and to one group. The kernel enforces the modes; without quorum the
write bits go, which is also how clients see that the cluster is read-only.
"""

import re
from errno import EPERM

from pmxcfs.errors import OperationError
from pmxcfs.memdb.entry import EntryType
from pmxcfs.memdb.paths import is_private

OWNER_UID = 0
ROOT_PERMISSIONS = 0o755

_OWNER_BITS = 0o700
_OPENVZ_SCRIPT = re.compile(
    rb"(?:.*/)?(?:vps|[1-9][0-9]*)\.(?:mount|umount|start|stop|premount|postumount)", re.DOTALL
)


def permissions_of(path: bytes, entry_type: EntryType, *, is_quorate: bool) -> int:
    """Return the permission bits of the entry at ``path``, which is not the root."""
    if entry_type is EntryType.DIRECTORY:
        bits = 0o755 if is_quorate else 0o555
    else:
        bits = 0o640 if is_quorate else 0o440
        if _OPENVZ_SCRIPT.fullmatch(path):
            bits |= 0o100
    return bits & _OWNER_BITS if is_private(path) else bits


def link_permissions(*, is_quorate: bool) -> int:
    """Return the permission bits of a virtual link; clients read the quorum off the write bit."""
    return 0o755 if is_quorate else 0o555


def check_chmod(path: bytes, permissions: int) -> None:
    """Accept the one mode that a path can have; nothing is changed.

    Args:
        path: where the object is; files, directories and virtual objects follow the same rule.
        permissions: the wanted bits, set-user-id and the like included.

    Raises:
        OperationError: EPERM for every other mode.
    """
    if permissions != (0o600 if is_private(path) else 0o640):
        raise OperationError(EPERM)


def check_chown(uid: int | None, gid: int | None, *, owner_gid: int) -> None:
    """Accept the owners that everything has; None leaves one as it is.

    Raises:
        OperationError: EPERM for every other owner.
    """
    if uid not in (None, OWNER_UID) or gid not in (None, owner_gid):
        raise OperationError(EPERM)
