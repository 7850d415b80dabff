"""Every program says which revision it is of."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pmxcfs import __version__, version

PROGRAMS = {
    "pmxcfs": "pmxcfs",
    "pmxcfs-db": "pmxcfs.tools.db",
    "pmxcfs-ctl": "pmxcfs.tools.ctl",
    "pmxcfs-lab": "pmxcfs_lab",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_tells_version_and_revision(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", PROGRAMS[program], "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == f"{program} {__version__} (revision {version.revision()})\n"


def test_a_checkout_tells_the_commit_that_git_names() -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("this is no checkout")
    head = subprocess.run(
        ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert head.stdout.startswith(version.revision().removesuffix("-dirty"))


def test_a_build_tells_what_was_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pmxcfs._revision", SimpleNamespace(REVISION="abc1234"))
    assert importlib.import_module("pmxcfs.version").revision() == "abc1234"


def test_neither_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(version, "_REPOSITORY", tmp_path)
    assert version.revision() == "unknown"
