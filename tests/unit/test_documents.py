"""The documents' links lead somewhere, and each decision has a number of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted(REPOSITORY.glob("docs/**/*.md"))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`|^ {4}.*$|^```.*?^```", re.M | re.S)


def anchors_of(document: Path) -> set[str]:
    """Return what the headings of a document can be linked to as."""
    found = set[str]()
    for heading in re.findall(r"^#+ (.*)$", document.read_text(), re.M):
        word = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{word}-{number}" if number else word) in found:
            number += 1
        found.add(anchor)
    return found


def dead_links(document: Path) -> Iterator[str]:
    """Yield the links to places in the repository that are not there."""
    for link in _LINK.findall(_CODE.sub("", document.read_text())):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert list(dead_links(document)) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n[x](#one) [y](#two) [z](b.md) [w](a.md#one)\n")
    assert list(dead_links(tmp_path / "a.md")) == ["#two", "b.md"]


def test_decisions_have_numbers_of_their_own_and_say_them() -> None:
    decisions = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    numbers = [int(path.name.partition("-")[0]) for path in decisions]
    assert len(set(numbers)) == len(numbers)
    for number, path in zip(numbers, decisions, strict=True):
        assert path.read_text().startswith(f"# {number}. ")
    cited = re.findall(
        r"\[decision (\d+)\]\([^)]*?(\d{4})-", "".join(path.read_text() for path in DOCUMENTS), re.I
    )
    assert cited
    assert [pair for pair in cited if int(pair[0]) != int(pair[1])] == []
