"""The command line's words: for labs that are not there, and for wrong arguments."""

import pytest
from pmxcfs_lab import cli, layout, view
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.status import NodeStatus
from rich.console import Console
from typer.testing import CliRunner

VERBS = (
    *("up", "status", "exec", "down", "partition", "heal"),
    *("kill", "stop", "start", "logs", "wait", "list"),
    *("fault", "faults", "join", "remove"),
)


@pytest.fixture(autouse=True)
def _no_labs(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout.Layout.__init__, "__defaults__", (tmp_path, tmp_path))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the program, which must fail; return what it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["pmxcfs-lab", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_every_verb_is_in_the_help() -> None:
    text = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "120"}).output
    for verb in VERBS:
        assert f" {verb} " in text


@pytest.mark.parametrize(
    "arguments", [["status"], ["exec", "1", "--", "true"], ["kill", "2"], ["heal"], ["wait"]]
)
def test_a_verb_without_a_lab_says_how_to_make_one(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    said = run(capsys, "--lab", "nowhere", *arguments)
    assert 'There is no lab "nowhere".' in said


def test_the_labs_name_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB", "elsewhere")
    assert '"elsewhere"' in run(capsys, "status")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lab", "A/B", "status"], "cannot name a lab"),
        (["up", "--nodes", "10"], "1 to 9 nodes"),
        (["--provider", "podman", "up"], 'There is no provider "podman"'),
        (["--provider", "docker", "up", "--nodes", "6"], "docker has at most 5 nodes"),
        (["up", "--binary", "2=/nonexistent"], "no file /nonexistent"),
        (["up", "--binary", "/bin/true"], "is no NODE=PATH"),
        (["up", "--database", "/nonexistent"], "no file /nonexistent"),
        (["kill", "x"], "is no node"),
    ],
)
def test_a_wrong_argument_is_answered_in_words(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in run(capsys, *arguments)


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    rows = [
        NodeStatus(
            f"node{n}", "up", "up", True, ("node1", "node2"), "synced", 12345, "a", "checksum"
        )
        for n in (1, 2)
    ]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(view.status_table("lab", rows))
    (line,) = (line for line in capture.get().splitlines() if "node2" in line)
    assert line.split() == ["node2", "up", "up", "yes", "1", "2", "synced", "12345", "yes"]


def test_what_to_try_next_names_the_lab_and_its_nodes() -> None:
    text = view.try_next("pmxcfs-lab --lab two", make_plan("two", 3))
    assert "pmxcfs-lab --lab two kill 3 " in text
    alone = view.try_next("pmxcfs-lab", make_plan("lab", 1))
    assert "partition" not in alone
