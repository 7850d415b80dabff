"""Lets the daemon run the compiled form of its modules, if there is one and it is up to date.

What every change runs through can be compiled (``pmxcfs.compile_build``). The sources stay what
counts: tests, the simulator and the tools run them, and so does the daemon when one of them was
changed since, or when it is told to. Nothing behaves differently but for the time it takes.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parent
DIRECTORY = PACKAGE / "_compiled"
FINGERPRINT = "fingerprint"
INTERPRETED = "PMXCFS_INTERPRETED"
"""The environment variable that has the sources run whatever there is."""

_SUFFIX = EXTENSION_SUFFIXES[0]
_COMPILING = (PACKAGE / "compile_build.py", PACKAGE / "native_values.py")

_PATTERNS = (
    "callers.py",
    "committing.py",
    "corosync/cmap.py",
    "corosync/cpg.py",
    "corosync/handle.py",
    "corosync/outbox.py",
    "corosync/quorum.py",
    "corosync/sender.py",
    "database.py",
    "dcdb.py",
    "dfsm/*.py",
    "driver.py",
    "durable/*.py",
    "fuse/attributes.py",
    "fuse/changes.py",
    "fuse/gather*.py",
    "fuse/hearing.py",
    "fuse/inodes.py",
    "fuse/invalidation.py",
    "fuse/listings.py",
    "fuse/lookups.py",
    "fuse/objects.py",
    "fuse/open_files.py",
    "fuse/operations.py",
    "fuse/own_changes.py",
    "fuse/permissions.py",
    "fuse/replies.py",
    "fuse/requests.py",
    "fuse/stamps.py",
    "fuse/virtual_files.py",
    "kvstore.py",
    "loopback.py",
    "memdb/*.py",
    "replica.py",
    "rows.py",
    "stepping.py",
    "tallies.py",
    "waits/*.py",
)


def sources() -> list[Path]:
    """Return the modules that are compiled."""
    found = {path for pattern in _PATTERNS for path in PACKAGE.glob(pattern)}
    return sorted(path for path in found if path.name != "__init__.py")


def fingerprint() -> str:
    """Return what stands for the sources, how they are compiled, and for the interpreter."""
    digest = sha256(_SUFFIX.encode())
    for path in (*_COMPILING, *sources()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(directory: Path = DIRECTORY) -> bool:
    """Whether what was compiled was made of the sources as they are, for this interpreter."""
    try:
        return (directory / FINGERPRINT).read_text() == fingerprint()
    except OSError:
        return False


def prefer(directory: Path = DIRECTORY, environment: Mapping[str, str] = os.environ) -> bool:
    """Have modules that are imported from now on be the compiled ones; false if there are none."""
    if environment.get(INTERPRETED) or not is_current(directory):
        return False
    files = {
        ".".join(path.relative_to(directory).parts).removesuffix(_SUFFIX): path
        for path in directory.rglob(f"*{_SUFFIX}")
    }
    sys.meta_path.insert(0, _Finder(files))
    return True


def kind() -> str:
    """Return what this process runs, in a word."""
    is_preferred = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    return "compiled" if is_preferred else "interpreted"


class _Finder(MetaPathFinder):
    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module among the compiled ones."""
        file = self._files.get(name)
        return None if file is None else spec_from_file_location(name, file)
