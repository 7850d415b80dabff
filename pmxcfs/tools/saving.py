"""Keeping what has no place in a repaired tree: as files, with the fields of their rows."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Entry, Inode
from pmxcfs.tools.claims import called, name_fault
from pmxcfs.tools.extracting import DIRECTORY_MODE, FILE_MODE, write_file
from pmxcfs.tools.placing import Misfit
from pmxcfs.tools.problems import printable

REPORT_NAME = "report.json"
FILE_NAME_BYTES_MAX = 255
_NAME_LETTERS_MAX = 100


def save(misfits: Sequence[Misfit], pages: Iterable[tuple[int, bytes]], side: Path) -> None:
    """Write everything into a new directory.

    Each misfit is named after its inode, so that nothing can get lost among equal or impossible
    names; what is below keeps its name where it can. ``report.json`` has a line for every entry,
    with its fields, the reason, and its file.

    Raises:
        StorageError: the directory is there already, or the disk failed.
    """
    try:
        side.mkdir(mode=DIRECTORY_MODE)
        lines = [line for misfit in misfits for line in _save_misfit(misfit, side)]
        for number, content in pages:
            name = f"page-{number}.bin" if content else None
            lines.append({"page": number, "saved": name})
            if name:
                (side / name).write_bytes(content)
        report = side / REPORT_NAME
        report.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for path in (report, *side.glob("page-*.bin")):
            path.chmod(FILE_MODE)
    except FileExistsError as error:
        raise StorageError(f"{error.filename} exists; nothing is overwritten") from error
    except OSError as error:
        raise StorageError(f"cannot write {error.filename}: {error.strerror}") from error


def _save_misfit(misfit: Misfit, side: Path) -> Iterator[dict[str, object]]:
    below: Mapping[Inode, list[Entry]] = defaultdict(list)
    for entry in misfit.below:
        below[entry.parent].append(entry)
    waiting = [(misfit.entry, _free_path(misfit.entry, side), misfit.reason)]
    while waiting:
        entry, path, reason = waiting.pop()
        yield _line_of(entry, reason, path.relative_to(side))
        if not entry.is_directory:
            write_file(entry, path)
            continue
        path.mkdir(mode=DIRECTORY_MODE)
        names = Counter(child.name for child in below[entry.inode])
        reason = f"is below inode {entry.inode}"
        for child in below[entry.inode]:
            is_plain = names[child.name] == 1 and _is_file_name(child.name)
            place = path / os.fsdecode(child.name) if is_plain else _free_path(child, path)
            waiting.append((child, place, reason))


def _is_file_name(name: bytes) -> bool:
    return name_fault(name) is None and len(name) <= FILE_NAME_BYTES_MAX


def _free_path(entry: Entry, directory: Path) -> Path:
    """Return a path that begins with the number, whatever the name is."""
    name = printable(entry.name).replace("/", "\\x2f")[:_NAME_LETTERS_MAX]
    path = directory / f"{entry.inode}-{name}"
    count = 1
    while path.exists():
        count += 1
        path = directory / f"{entry.inode}-{name}-{count}"
    return path


def _line_of(entry: Entry, reason: str, path: Path) -> dict[str, object]:
    return {
        "saved": str(path),
        "reason": f"{called(entry)} {reason}",
        "inode": entry.inode,
        "parent": entry.parent,
        "version": entry.version,
        "writer": entry.writer,
        "mtime": entry.mtime,
        "type": int(entry.type),
        "name": entry.name.hex(),
        "size": entry.size,
    }
