"""What each operation checks and does, in the order that all replicas agree on.

Every function takes the Workspace and its operation, returns a result of zero or more, or raises
OperationError before anything has changed. The order of the checks is part of the protocol: the
first that fails gives the answer. Renames are in ``memdb.renaming``, locks in ``memdb.unlocking``.

Source: docs/PROTOCOL.md, "Operations".
"""

from errno import EACCES, EEXIST, EFBIG, ENOENT, ENOTDIR, ENOTEMPTY

from pmxcfs.errors import OperationError
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.memdb.guests import GuestPath, parse_guest_path
from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.operations import Create, Delete, Mkdir, SetMtime, Unlock, Write
from pmxcfs.memdb.paths import LOCK_DIRECTORY, split
from pmxcfs.memdb.workspace import Workspace


def create(work: Workspace, operation: Create) -> int:
    """Make an empty file."""
    parent, name = work.place_of(operation.path)
    guest = _guest_without_conflict(work, operation.path)
    existing = work.tree.child(parent, name)
    if existing is not None:
        raise OperationError(ENOTDIR if existing.is_directory else EEXIST)
    _store_file(work, operation.path, _new_entry(work, parent, EntryType.FILE, name), guest)
    return 0


def write(work: Workspace, operation: Write) -> int:
    """Put data into a file; return how many bytes."""
    if operation.offset + len(operation.data) > FILE_SIZE_BYTES_MAX:
        raise OperationError(EFBIG)
    parent, name = work.place_of(operation.path)
    guest = _guest_without_conflict(work, operation.path)
    entry = work.tree.child(parent, name)
    if entry is None:
        raise OperationError(ENOENT)
    if entry.is_directory:
        raise OperationError(ENOTDIR)
    size, data = _overlaid(entry.data, operation)
    _store_file(work, operation.path, entry.rewritten(data, size, work.time), guest)
    return len(operation.data)


def mkdir(work: Workspace, operation: Mkdir) -> int:
    """Make an empty directory; below ``priv/lock`` that takes a lock."""
    parent, name = work.place_of(operation.path)
    if work.tree.child(parent, name) is not None:
        raise OperationError(EEXIST)
    entry = work.put(_new_entry(work, parent, EntryType.DIRECTORY, name))
    work.finish(mtime=work.time)
    if split(operation.path)[0] == LOCK_DIRECTORY:
        work.locks.start(operation.path, entry_checksum(entry), work.now_s)
    return 0


def set_mtime(work: Workspace, operation: SetMtime) -> int:
    """Set an entry's mtime, and with it the tree's; only its holder may do that to a lock."""
    parent, name = work.place_of(operation.path)
    entry = work.tree.child(parent, name)
    if entry is None:
        raise OperationError(ENOENT)
    is_lock = entry.is_directory and split(operation.path)[0] == LOCK_DIRECTORY
    if is_lock and (operation.mtime < entry.mtime or work.writer != entry.writer):
        raise OperationError(EACCES)
    stored = work.put(entry.touched(operation.mtime))
    work.finish(mtime=operation.mtime)
    work.counters.bump(operation.path)
    if is_lock:
        work.locks.start(operation.path, entry_checksum(stored), work.now_s)
    return 0


def delete(work: Workspace, operation: Delete | Unlock) -> int:
    """Remove a file or an empty directory."""
    path = operation.path
    entry = work.existing(path)
    if entry.inode == ROOT_INODE:
        raise OperationError(EACCES)
    if work.tree.has_children(entry.inode):
        raise OperationError(ENOTEMPTY)
    work.remove(entry)
    work.finish(mtime=work.time)
    work.counters.bump(path)
    if entry.is_directory:
        work.locks.drop(path)
    # By number alone, and for directories too: the list decides later conflicts, so it must be
    # what the reference would have.
    guest = parse_guest_path(path)
    if guest is not None:
        work.guests.unregister(guest.vmid)
    return 0


def _guest_without_conflict(work: Workspace, path: bytes) -> GuestPath | None:
    guest = parse_guest_path(path)
    if guest is not None and work.guests.conflicts_with(guest):
        raise OperationError(EEXIST)
    return guest


def _new_entry(work: Workspace, parent: Inode, type_: EntryType, name: bytes) -> Entry:
    version = work.next_version
    return Entry(Inode(version), parent, version, work.writer, work.time, type_, name)


def _store_file(work: Workspace, path: bytes, entry: Entry, guest: GuestPath | None) -> None:
    work.put(entry)
    work.finish(mtime=work.time)
    work.counters.bump(path)
    if guest is not None:
        work.guests.register(guest)


def _overlaid(old: bytes, operation: Write) -> tuple[int, bytes]:
    """Return size and content of a file after a write.

    Extending a file without content by a truncation gives it a size but no content. That is a
    defect of the reference which every replica has to share, because both enter the checksums.
    """
    offset, new = operation.offset, operation.data
    end = offset + len(new)
    if not old and not new:
        return end, b""
    data = old[:offset].ljust(offset, b"\0") + new
    if end < len(old) and not operation.truncate:
        data += old[end:]
    return len(data), data
