"""What a rename checks and does; moving a guest to another node is one.

Source: docs/PROTOCOL.md, "Operations".
"""

from errno import EACCES, EEXIST, EINVAL, ENOTEMPTY

from pmxcfs.errors import OperationError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, Inode
from pmxcfs.memdb.guests import parse_guest_path
from pmxcfs.memdb.operations import Rename
from pmxcfs.memdb.paths import is_lock_path, split
from pmxcfs.memdb.workspace import Workspace


def rename(work: Workspace, operation: Rename) -> int:
    """Move a file or an empty directory, replacing what is at the target.

    One refusal comes after a change: a directory that is not empty is refused only when an empty
    target has been removed already, without a new version of the tree. All replicas must share
    that defect of the reference; unlike the reference we remove the target's row too. Whoever
    submits operations should refuse this one beforehand.

    Two cases which no kernel lets through, and for which the reference has no sound answer: an
    entry renamed to itself stays as it is, and a directory renamed into itself gives EINVAL.
    """
    source = work.existing(operation.path)
    _check_source(work, source, operation)
    target = work.tree.find(operation.target)
    parent = _check_target(work, target, operation.target)
    if target is not None and target.inode == source.inode:
        return 0
    if parent == source.inode:
        raise OperationError(EINVAL)
    if target is not None:
        _remove_target(work, target, operation.target)
    work.counters.bump(operation.path)
    work.counters.bump(operation.target)
    if work.tree.has_children(source.inode):
        raise OperationError(ENOTEMPTY)
    name = split(operation.target)[1]
    work.put(source.moved(parent, name, work.time))
    work.finish(mtime=work.time)
    if not source.is_directory:
        _move_guest(work, operation)
    return 0


def _check_source(work: Workspace, source: Entry, operation: Rename) -> None:
    if source.inode == ROOT_INODE:
        raise OperationError(EACCES)
    if not source.is_directory and _would_conflict(work, operation):
        raise OperationError(EEXIST)
    if source.is_directory and is_lock_path(operation.path):
        raise OperationError(EACCES)


def _would_conflict(work: Workspace, operation: Rename) -> bool:
    """Whether the target's VM id is taken elsewhere, and not by the source itself."""
    target = parse_guest_path(operation.target)
    if target is None or not work.guests.conflicts_with(target):
        return False
    source = parse_guest_path(operation.path)
    return source is None or source.vmid != target.vmid


def _check_target(work: Workspace, target: Entry | None, path: bytes) -> Inode:
    """Return the directory that the entry moves to; what is at the target must be replaceable."""
    if target is None:
        return work.directory_of(path).inode
    if target.inode == ROOT_INODE:
        raise OperationError(EACCES)
    if work.tree.has_children(target.inode):
        raise OperationError(ENOTEMPTY)
    return target.parent


def _remove_target(work: Workspace, target: Entry, path: bytes) -> None:
    work.remove(target)
    if target.is_directory:
        work.locks.drop(path)


def _move_guest(work: Workspace, operation: Rename) -> None:
    source = parse_guest_path(operation.path)
    target = parse_guest_path(operation.target)
    if source is not None:
        work.guests.unregister(source.vmid)
    if target is not None:
        work.guests.register(target)
