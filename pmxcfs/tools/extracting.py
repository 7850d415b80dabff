"""Entries of a tree as files and directories of this machine, without mounting.

Files get mode 0600 and directories 0700, since there are keys among them; owner is the caller.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.tree import Tree

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def extract(tree: Tree, path: bytes, target: Path) -> Iterator[Path]:
    """Write what is at a path of a tree into a directory, and yield each file once it is there.

    Args:
        tree: a sound one.
        path: of a directory, whose contents are written, or of a file; empty for all.
        target: a directory that does not exist yet, or is empty. A file may join others there,
            but does not replace one.

    Raises:
        StorageError: there is nothing at the path, or something cannot be written.
    """
    top = tree.find(path)
    if top is None:
        raise StorageError(f"there is no {os.fsdecode(path)!r} in the database")
    try:
        target.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if not top.is_directory:
            yield write_file(top, target / os.fsdecode(top.name))
            return
        if any(target.iterdir()):
            raise StorageError(f"{target} is not empty; nothing is overwritten")
        yield from _write_below(tree, top, target)
    except OSError as error:
        raise StorageError(f"cannot write {error.filename}: {error.strerror}") from error


def write_file(entry: Entry, path: Path) -> Path:
    """Write a file's content with its time; return the path.

    Raises:
        OSError: there is something already, or the name or the disk does not do.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
        file.write(entry.data)
        file.write(bytes(entry.size - len(entry.data)))
    os.utime(path, (entry.mtime, entry.mtime))
    return path


def _write_below(tree: Tree, directory: Entry, target: Path) -> Iterator[Path]:
    for entry in sorted(tree.children(directory.inode), key=lambda entry: entry.name):
        path = target / os.fsdecode(entry.name)
        if entry.is_directory:
            path.mkdir(mode=DIRECTORY_MODE)
            yield from _write_below(tree, entry, path)
            os.utime(path, (entry.mtime, entry.mtime))
        else:
            yield write_file(entry, path)
