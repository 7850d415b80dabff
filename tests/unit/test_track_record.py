"""The commands of the track record name tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "TRACK_RECORD.md").read_text()
COMMANDS = re.findall(r"(tests/[\w/]+\.py) -k (\w+)", TEXT)


@pytest.mark.parametrize(("path", "words"), COMMANDS, ids=[words for _, words in COMMANDS])
def test_a_command_of_the_track_record_finds_a_test(path: str, words: str) -> None:
    named = re.findall(r"def (test_\w+)", (ROOT / path).read_text())
    transcripts = [file.stem for file in (ROOT / "tests" / "sim" / "transcripts").iterdir()]
    names = transcripts if path.endswith("test_transcripts.py") else named
    assert any(words in name for name in names)


def test_every_bug_has_a_command() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "-k" in line]
    ours = TEXT.partition("## In this program")[2].partition("## In the C daemon")[0]
    table = [line for line in ours.splitlines() if line.startswith("| ")][1:]
    assert len(table) > 10
    assert [line for line in table if line not in rows] == []
