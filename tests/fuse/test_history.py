"""The history of changes on a mount: what pmxcfs-ctl tells of it, and takes back."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuse.daemon import WITHIN_S, Daemon

pytestmark = pytest.mark.needs("root", "fuse")


class Told:
    """What pmxcfs-ctl tells of a daemon's history."""

    def __init__(self, daemon: Daemon) -> None:
        self.mount = daemon.mountpoint
        self._places = [f"--state-dir={daemon.state_dir}", f"--mountpoint={daemon.mountpoint}"]

    def run(self, verb: str, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        ended = self.try_to_run(verb, *arguments)
        assert ended.returncode == status, ended.stderr
        return ended

    def try_to_run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pmxcfs.tools.ctl", verb, *self._places, *arguments],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def changes(self, path: str, count: int) -> list[dict[str, Any]]:
        """Wait until so many changes of a path are recorded; return them."""
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            lines = self.try_to_run("history", "--json", path).stdout.splitlines()
            if len(lines) >= count:
                return [json.loads(line) for line in lines]
            assert time.monotonic() < deadline_s, lines
            time.sleep(0.05)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    daemon = Daemon(tmp_path_factory.mktemp("history"))
    try:
        daemon.start("--local", "--history", "64")
        yield Told(daemon)
        assert daemon.stop() == 0
        assert daemon.complaints == []
    finally:
        daemon.kill()
        daemon.detach()


def replace(path: Path, text: str) -> None:
    """Write a file as the management tools do."""
    beside = path.with_name(f"{path.name}.tmp.1")
    beside.write_text(text)
    beside.rename(path)


def test_the_revisions_of_a_file_are_listed_shown_compared_and_undone(told: Told) -> None:
    place = told.mount / "storage.cfg"
    place.write_text("dir: one\n")
    replace(place, "dir: two\n")
    created, written, replaced = told.changes(str(place), 3)
    assert [created["action"], written["action"]] == ["create", "write"]
    assert (replaced["action"], replaced["target"]) == ("rename", "storage.cfg")

    assert told.run("show", "storage.cfg").stdout == "dir: two\n"
    assert told.run("show", "storage.cfg", str(written["revision"])).stdout == "dir: one\n"
    assert "-dir: one\n+dir: two\n" in told.run("diff", str(place)).stdout

    assert "-dir: two\n+dir: one\n" in told.run("undo", "--yes", str(place)).stdout
    assert place.read_text() == "dir: one\n"
    told.changes("storage.cfg", 4)
    told.run("undo", "--yes", "storage.cfg")
    assert place.read_text() == "dir: two\n"


def test_a_removed_file_comes_back(told: Told) -> None:
    place = told.mount / "user.cfg"
    place.write_text("user:root@pam:1\n")
    place.unlink()
    told.changes("user.cfg", 3)
    told.run("undo", "-y", "user.cfg")
    assert place.read_text() == "user:root@pam:1\n"


def test_nothing_is_undone_unless_somebody_agrees(told: Told) -> None:
    place = told.mount / "asked.cfg"
    place.write_text("1\n")
    replace(place, "2\n")
    told.changes("asked.cfg", 3)
    told.run("undo", "asked.cfg", status=1)
    assert place.read_text() == "2\n"


def test_a_directory_lists_what_is_below_it(told: Told) -> None:
    (told.mount / "ha").mkdir()
    (told.mount / "ha" / "groups.cfg").write_text("x")
    paths = [change["path"] for change in told.changes("ha", 3)]
    assert paths == ["ha", "ha/groups.cfg", "ha/groups.cfg"]


@pytest.mark.parametrize(
    ("verb", "arguments", "sentence"),
    [
        ("show", ["nothing.cfg"], "nothing is recorded of nothing.cfg"),
        ("show", ["known.cfg", "999999"], "known.cfg has no revision 999999"),
        ("undo", ["--yes", "known.cfg"], "there was no such file then; to remove it: rm"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_reason(
    told: Told, verb: str, arguments: list[str], sentence: str
) -> None:
    if not (told.mount / "known.cfg").exists():
        (told.mount / "known.cfg").touch()
    told.changes("known.cfg", 1)
    ended = told.run(verb, *arguments, status=1)
    assert sentence in ended.stderr


def test_where_no_history_is_kept_it_is_said_how_to_begin(tmp_path: Path) -> None:
    told = Told(Daemon(tmp_path))
    assert "start pmxcfs with --history" in told.run("history", status=1).stderr


def test_only_root_can_read_the_history(told: Told) -> None:
    (told.mount / "priv").mkdir(exist_ok=True)
    (told.mount / "priv" / "secret").write_text("password")
    told.changes("priv/secret", 2)
    for place in told.mount.parent.joinpath("state").glob("history.db*"):
        assert place.stat().st_mode & 0o077 == 0, place
