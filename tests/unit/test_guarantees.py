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


def test_every_wait_names_the_test_that_shows_its_bound() -> None:
    table = TEXT.partition("| Who | For whom | Bound | Then | In the log | Shown by |")[2]
    rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row and "| see " not in row] == []
