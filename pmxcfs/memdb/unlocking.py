"""How an expired lock is released: somebody asks, one member checks, every member deletes.

A request or a release that does not fit the lock as it is now does nothing and is no error, so a
late one is harmless.

Source: docs/PROTOCOL.md, "Locks".
"""

from pmxcfs.memdb import engine
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.operations import Unlock, UnlockRequest
from pmxcfs.memdb.paths import is_lock_path
from pmxcfs.memdb.workspace import Workspace


def expired_lock(work: Workspace, request: UnlockRequest) -> Unlock | None:
    """Return the release to send, if the lock is as the request says and has expired.

    Changes nothing but timers. Only the member with the lowest node id may act on the answer.
    """
    if not _fits(work, request) or not work.locks.has_expired(
        request.path, request.checksum, work.now_s
    ):
        return None
    return Unlock(request.path, request.checksum)


def unlock(work: Workspace, operation: Unlock) -> int:
    """Delete a lock that still is as the release says."""
    return engine.delete(work, operation) if _fits(work, operation) else 0


def _fits(work: Workspace, named: UnlockRequest | Unlock) -> bool:
    if not is_lock_path(named.path):
        return False
    entry = work.tree.find(named.path)
    return entry is not None and entry.is_directory and entry_checksum(entry) == named.checksum
