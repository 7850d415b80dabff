"""What the tables of calls and errnos share: the row, the furniture, and proof of no change."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fuse.calls import refusal
from tests.fuse.daemon import NODE_NAME


@dataclass(frozen=True, slots=True)
class Row:
    """One assertion: a call in a furnished directory is refused with this errno.

    Attributes:
        what: the call in words; names the test.
        call: does it. Paths are relative to the furnished directory.
        expected: the errno.
        why: the rule behind it.
    """

    what: str
    call: Callable[[], object]
    expected: int
    why: str


def table(rows: Iterable[Row]) -> list[Any]:
    """Return rows as parameters, each a test under its own name."""
    return [pytest.param(row, id=row.what) for row in rows]


def furnish(place: Path, mount: Path) -> None:
    """Put into a directory what the tables name, and make the own node's directory."""
    (mount / "nodes" / NODE_NAME).mkdir(parents=True, exist_ok=True)
    (place / "file").write_bytes(b"0123456789")
    (place / "other").write_bytes(b"other")
    (place / "empty").mkdir()
    (place / "full").mkdir()
    (place / "full" / "child").touch()


def seen(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is in a directory, and below."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        stat = path.stat()
        content = b"" if path.is_dir() else path.read_bytes()
        found[str(path)] = (stat.st_ino, stat.st_mode, stat.st_mtime_ns, stat.st_size, content)
    return found


def assert_refused_without_effect(row: Row, place: Path) -> None:
    """Assert that a call gives its errno and leaves everything as it was."""
    before = seen(place)
    assert refusal(row.call) == row.expected, row.why
    assert seen(place) == before, "a refused call has changed something"
