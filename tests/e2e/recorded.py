"""The databases and views that were recorded from a cluster of the reference."""

import hashlib
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path(__file__).parent.parent / "golden" / "vectors"

DIRECTORY = 4
FILE = 8

GUEST_SCRIPT = re.compile(r"vps|[1-9][0-9]*\.(mount|umount|start|stop|premount|postumount)")
"""File names of the legacy container scripts, which their owner may execute."""

PRIVATE = re.compile(r"priv(/.*)?|nodes/[^/]+/priv(/.*)?")
"""Paths that only root may see."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a recorded tree.

    Attributes:
        inode: its number, 0 for the root.
        parent: the inode of the folder it is in.
        version: the tree's version when it was changed last.
        writer: node id of whoever did.
        mtime_s: seconds since 1970.
        kind: DIRECTORY or FILE.
        name: without a slash.
        content: empty for directories.
    """

    inode: int
    parent: int
    version: int
    writer: int
    mtime_s: int
    kind: int
    name: str
    content: bytes


def unpack(name: str, into: Path) -> Path:
    """Unpack the recorded database of that name; return its folder."""
    with tarfile.open(VECTORS / "db" / f"{name}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(into)
    return into / name


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a rows.txt: `inode|parent|version|writer|mtime|type|name|hex`."""
    rows = []
    for line in path.read_text().splitlines():
        *numbers, name, content = line.split("|", 7)
        inode, parent, version, writer, mtime_s, kind = map(int, numbers)
        row = Row(inode, parent, version, writer, mtime_s, kind, name, bytes.fromhex(content))
        rows.append(row)
    return rows


def expected_entries(rows: list[Row], gid: int) -> dict[str, dict[str, object]]:
    """Return what the mount of a quorate node shall show of these rows, as `probe` sees it."""
    by_inode = {row.inode: row for row in rows if row.inode != 0}

    def path_of(row: Row) -> str:
        parent = by_inode.get(row.parent)
        return row.name if parent is None else f"{path_of(parent)}/{row.name}"

    return {path_of(row): _entry(row, path_of(row), gid) for row in by_inode.values()}


def _entry(row: Row, path: str, gid: int) -> dict[str, object]:
    entry: dict[str, object] = {
        "mode": oct(_mode(row, path)),
        "uid": 0,
        "gid": gid,
        "size": len(row.content),
        "mtime": row.mtime_s,
    }
    if row.kind == FILE:
        entry["sha256"] = hashlib.sha256(row.content).hexdigest()
    return entry


def _mode(row: Row, path: str) -> int:
    is_private = PRIVATE.fullmatch(path) is not None
    if row.kind == DIRECTORY:
        return 0o040700 if is_private else 0o040755
    mode = 0o100600 if is_private else 0o100640
    return mode | 0o100 if GUEST_SCRIPT.fullmatch(row.name) else mode
