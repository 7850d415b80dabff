"""A new database from a directory tree, with the operations that a client would have asked for."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmxcfs.errors import StorageError
from pmxcfs.identity import LOCAL_NODE_ID
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.problems import printable

VIRTUAL_FILES = frozenset(
    {b".clusterlog", b".debug", b".members", b".rrd", b".version", b".vmlist"}
)
VIRTUAL_LINKS = frozenset({b"local", b"lxc", b"openvz", b"qemu-server"})


@dataclass(frozen=True, slots=True)
class Import:
    """The tree of a directory, and what was left out of it because the daemon provides it."""

    tree: Tree
    left_out: tuple[bytes, ...]


def read_directory(source: Path, now_s: int) -> Import:
    """Return the tree that a directory holds.

    Everything gets the same time and writer 0. Names are taken in their order, so that equal
    directories give equal trees. Virtual files in the top directory are left out.

    Raises:
        StorageError: something in it can't be in the tree; the sentence has all of it.

    Source: docs/PROTOCOL.md, "Operations".
    """
    memdb = Memdb(Tree.new(), now_s=0)
    left_out: list[bytes] = []
    faults: list[str] = []
    for place in _walk(source, faults):
        path = os.fsencode(place.relative_to(source))
        if _is_virtual(path, place):
            left_out.append(path)
        else:
            faults += _import(memdb, place, path, now_s)
    if memdb.tree.content_size_bytes > CONTENT_BYTES_MAX:
        faults.append(f"all files together have more than {CONTENT_BYTES_MAX} bytes")
    if faults:
        raise StorageError(f"cannot import {source}:\n  " + "\n  ".join(faults))
    return Import(memdb.tree, tuple(left_out))


def _walk(directory: Path, faults: list[str]) -> Iterator[Path]:
    """Yield all that is in a directory, each directory before what is in it."""
    try:
        places = sorted(directory.iterdir(), key=os.fsencode)
    except OSError as error:
        faults.append(f"{directory}: {error.strerror}")
        return
    for place in places:
        yield place
        if place.is_dir() and not place.is_symlink():
            yield from _walk(place, faults)


def _is_virtual(path: bytes, place: Path) -> bool:
    return path in (VIRTUAL_LINKS if place.is_symlink() else VIRTUAL_FILES)


def _import(memdb: Memdb, place: Path, path: bytes, now_s: int) -> Iterator[str]:
    """Bring one file or directory into the tree, or yield why that can't be."""
    try:
        operations = _operations_for(place, path)
    except OSError as error:
        yield f"'{printable(path)}': {error.strerror}"
        return
    for operation in operations:
        outcome = memdb.apply(operation, LOCAL_NODE_ID, now_s, now_s)
        if outcome.result < 0:
            yield f"'{printable(path)}': {os.strerror(-outcome.result)}"
            return


def _operations_for(place: Path, path: bytes) -> Sequence[Operation]:
    """Return what has to be done for a file or directory.

    Raises:
        OSError: it can't be read, or is something else.
    """
    status = place.lstat()
    if stat.S_ISDIR(status.st_mode):
        return [Mkdir(path)]
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is neither a file nor a directory")
    if status.st_size > FILE_SIZE_BYTES_MAX:
        raise OSError(errno.EFBIG, f"has more than {FILE_SIZE_BYTES_MAX} bytes")
    content = place.read_bytes()
    return [Create(path), *([Write(path, 0, content)] if content else [])]
