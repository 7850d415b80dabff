"""What docs/GUARANTEES.md and SECURITY.md name as proof exists."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
TEXT = (DOCS / "GUARANTEES.md").read_text()
SECURITY = (DOCS / "SECURITY.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT + SECURITY)
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (REPOSITORY / path).exists() or f"def {name}(" not in (REPOSITORY / path).read_text()
    ]
    assert missing == []


def test_every_trap_has_its_row() -> None:
    assert re.findall(r"^\| (W\d+) \|", TEXT, re.MULTILINE) == [f"W{n}" for n in range(1, 23)]
