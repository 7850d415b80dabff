"""A ghost among both daemons: ours answer and read on; when its node is back, all is well.

The reference waits for the ghost for as long as it is there, so a mixed cluster may write little.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab

from pmxcfs.driver import ANSWER_WAIT_S_MAX
from pmxcfs.waits.ghosts import SILENCE_S_MAX

from .conftest import MakeLab
from .haunting import Nodes, haunt
from .mounts import SETTLES_WITHIN_S, run, wait_for_text, write
from .where import PYTHON

pytestmark = pytest.mark.needs("reference")

SLACK_S = 5.0

ASK = """
import errno, os, sys, time
began_s = time.monotonic()
try:
    os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    word = "done"
except OSError as error:
    word = errno.errorcode[error.errno]
print(word, time.monotonic() - began_s)
"""


@pytest.fixture(scope="module", params=["node2", "node3"])
def theirs(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab, theirs: str) -> Iterator[Lab]:
    """Node 1, which becomes the ghost, and another one are ours."""
    lab = make_lab(3, binaries={theirs: os.environ["PMXCFS_REFERENCE"]})
    yield lab
    lab.down()


def test_ours_answer_in_time_and_all_are_equal_when_the_ghosts_node_is_back(
    lab: Lab, nodes: Nodes, theirs: str, tmp_path: Path
) -> None:
    (ours,) = {"node2", "node3"} - {theirs}
    write(nodes[ours], "before", "known to all")
    haunt(lab, nodes, tmp_path)

    answers: dict[str, str] = {}
    enough_s = time.monotonic() + 2 * SILENCE_S_MAX
    while time.monotonic() < enough_s:
        name = f"asked-{len(answers)}"
        asked = run(nodes[ours], "%s -c %s %s", PYTHON, ASK, f"/etc/pve/{name}")
        answers[name], took_s = asked.split()
        assert float(took_s) < ANSWER_WAIT_S_MAX + SLACK_S
        assert answers[name] in ("done", "EBUSY", "EIO", "EACCES")
        assert nodes[ours].run("timeout 2 cat /etc/pve/before").stdout == "known to all"

    lab.start("node1")
    lab.wait(within_s=2 * SETTLES_WITHIN_S)
    lab.trees_are_equal()
    for name, word in answers.items():
        if word == "done":
            wait_for_text(nodes[theirs], name, "")
