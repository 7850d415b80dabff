"""docs/COVERAGE.md has a line for each row of the protocol, and names tests that exist."""

import re
from pathlib import Path

import pytest

from tests.unit.dfsm.test_transitions import ROWS

REPOSITORY = Path(__file__).parents[2]
COVERAGE = (REPOSITORY / "docs" / "COVERAGE.md").read_text()
PROTOCOL = (REPOSITORY / "docs" / "PROTOCOL.md").read_text()


def part(text: str, heading: str, nth: int = 0) -> str:
    """Return what stands under a heading, up to the next one."""
    found = re.findall(
        rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"no heading {heading}"
    return str(found[nth])


def rows(text: str, columns: int) -> list[list[list[str]]]:
    """Return the tables of a text: of each, its rows, of each the first so many cells."""
    tables: list[list[list[str]]] = []
    is_within = False
    for line in text.splitlines():
        if re.fullmatch(r"\|[-|]+\|", line):
            tables.append([])
            is_within = True
        elif is_within and line.startswith("|"):
            tables[-1].append([cell.strip() for cell in line.split("|")[1 : columns + 1]])
        else:
            is_within = False
    return tables


@pytest.mark.parametrize(
    ("heading", "source", "table", "columns"),
    [
        ("Receiving: the checks", "Receiving", 0, 1),
        ("NORMAL messages", "Receiving", 1, 1),
        ("State messages", "Receiving", 2, 2),
        ("Delivering the queues", "Delivering the queues", 0, 2),
        ("Callers", "Callers", 0, 1),
        ("Changes of the tree", "Configuration tree messages", 0, 2),
    ],
)
def test_every_row_of_the_protocol_has_its_line(
    heading: str, source: str, table: int, columns: int
) -> None:
    expected = rows(part(PROTOCOL, source), columns)[table]
    assert rows(part(COVERAGE, heading), columns)[0] == expected


def test_every_step_of_a_configuration_change_has_its_line() -> None:
    steps = re.findall(r"^(\d+)\. ", part(PROTOCOL, "Configuration change"), re.MULTILINE)
    assert len(steps) == 8
    assert [row[0] for row in rows(part(COVERAGE, "Configuration change"), 1)[0]] == steps


def test_every_chapter_of_the_protocol_has_its_line() -> None:
    chapters = re.findall(r"^##+ (.*)$", PROTOCOL, re.MULTILINE)
    assert [row[0] for row in rows(part(COVERAGE, "The other chapters"), 1)[0]] == chapters


def test_every_line_names_what_shows_it() -> None:
    lines = [line for line in COVERAGE.splitlines() if line.startswith("|")]
    empty = [
        line
        for line in lines
        if not re.search(r"`(tests/|T\[)|shown by|^\|[-|]+\|$|the tables? above", line)
    ]
    assert empty == []


def test_every_test_that_is_named_exists() -> None:
    paths = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?[`\[]", COVERAGE)
    assert len(paths) > 100
    missing = [
        f"{path}::{name}"
        for path, name in paths
        if not (REPOSITORY / path).is_file()
        or (name and f"def {name}(" not in (REPOSITORY / path).read_text())
    ]
    assert missing == []


def test_every_row_of_the_table_of_transitions_is_named_and_exists() -> None:
    named = set(re.findall(r"`T\[(.*?)\]`", COVERAGE)) - {"claim"}
    assert named == {row.claim for row in ROWS}
