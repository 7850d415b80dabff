"""What differs between two trees is listed by path, with the lines of texts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.building import build
from pmxcfs.tools.comparing import Manner, compare, text_difference
from tests.golden.command_line import CommandLine


def test_equal_trees_have_no_difference(tree: Tree) -> None:
    assert list(compare(tree, tree)) == []


def test_each_manner_of_difference_is_told(make_tree: Callable[..., Tree]) -> None:
    first = make_tree({b"same": b"1", b"gone": b"1", b"text": b"a\nb\n", b"d": None})
    second = make_tree({b"same": b"1", b"text": b"a\nc\n", b"new": b"1", b"d": b"file"})
    found = [(difference.path, difference.manner) for difference in compare(first, second)]
    assert found == [
        (b"", Manner.METADATA),
        (b"d", Manner.CHANGED),
        (b"gone", Manner.REMOVED),
        (b"new", Manner.ADDED),
        (b"text", Manner.CHANGED),
    ]


def test_a_difference_of_numbers_is_metadata(make_tree: Callable[..., Tree]) -> None:
    first = make_tree({b"a": b"1"}, 5)
    second = make_tree({b"a": b"1"}, 6)
    differences = list(compare(first, second))
    assert {(difference.path, difference.manner) for difference in differences} == {
        (b"", Manner.METADATA),
        (b"a", Manner.METADATA),
    }
    assert {difference.fields for difference in differences} == {("mtime",)}


def test_texts_are_compared_line_by_line(make_tree: Callable[..., Tree]) -> None:
    (difference,) = (
        difference
        for difference in compare(
            make_tree({b"f": b"one\ntwo\n"}), make_tree({b"f": b"one\n\tthree\x1b[0m"})
        )
        if difference.path == b"f"
    )
    assert text_difference(difference) == [
        "--- a/f",
        "+++ b/f",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+\tthree\\x1b[0m \\ no line end",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_is_not_shown(make_tree: Callable[..., Tree], content: bytes) -> None:
    (difference,) = (
        difference
        for difference in compare(make_tree({b"f": b"text"}), make_tree({b"f": content}))
        if difference.path == b"f"
    )
    assert text_difference(difference) is None


@pytest.fixture
def other(make_tree: Callable[..., Tree], tmp_path: Path) -> Path:
    files: dict[bytes, bytes | None] = {b"storage.cfg": b"dir: other\n", b"added": b"x\n"}
    build(make_tree(files, 5), tmp_path / "other.db")
    return tmp_path / "other.db"


def test_the_status_says_whether_there_is_a_difference(
    run: CommandLine, database: Path, other: Path
) -> None:
    assert run("diff", database, database).status == 0
    assert run("diff", database, other).status == 1
    assert run("diff", database, other.with_name("none")).status == 2


def test_the_command_shows_paths_fields_and_lines(
    run: CommandLine, database: Path, other: Path
) -> None:
    printed = run("diff", database, other).out.splitlines()
    assert "+ /added" in printed
    assert "- /nodes" in printed
    assert "+dir: other" in printed
    assert any(line.startswith("M /storage.cfg  (mtime 1700000000 -> 5") for line in printed)


def test_brief_leaves_lines_out(run: CommandLine, database: Path, other: Path) -> None:
    assert "+dir: other" not in run("diff", "--brief", database, other).out


def test_metadata_can_be_left_out(
    run: CommandLine, database: Path, make_tree: Callable[..., Tree], tmp_path: Path
) -> None:
    for name, now_s in (("five.db", 5), ("six.db", 6)):
        build(make_tree({b"a": b"1"}, now_s), tmp_path / name)
    five, six = tmp_path / "five.db", tmp_path / "six.db"
    assert run("diff", five, six).status == 1
    assert run("diff", "--only-content", five, six).status == 0


def test_json_has_one_object_a_path(run: CommandLine, database: Path, other: Path) -> None:
    differences = json.loads(run("diff", "--json", database, other).out)
    assert {
        "path": "added",
        "path_hex": b"added".hex(),
        "manner": "added",
        "fields": [],
    } in differences
