"""Going to the background: what whoever started the daemon gets to see."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from pmxcfs.background import detach

ready = detach()
{body}
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_parent_ends_well_once_the_child_is_ready(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ended = run(
        f"ready(); Path({str(fifo)!r}).write_text(f'{{os.getpid() == os.getsid(0)}}'); os._exit(7)"
    )
    assert ended.returncode == 0
    assert fifo.read_text() == "True"


def test_the_parent_fails_when_the_child_ends_before_it_is_ready() -> None:
    ended = run("print('no group www-data', file=sys.stderr); sys.exit(255)")
    assert ended.returncode == 255
    assert ended.stderr == "no group www-data\n"


def test_the_parent_hands_on_the_status_of_a_child_that_could_not_start() -> None:
    assert run("sys.exit(65)").returncode == 65


def test_a_child_that_ends_well_without_being_ready_is_a_failure() -> None:
    assert run("sys.exit(0)").returncode == 255


def test_a_child_that_dies_without_a_word_is_a_failure_too() -> None:
    assert run("os.kill(os.getpid(), 9)").returncode == 255


def test_once_ready_the_child_lets_go_of_the_terminal() -> None:
    ended = run("ready(); print('late', file=sys.stderr, flush=True)")
    assert (ended.returncode, ended.stderr) == (0, "")
