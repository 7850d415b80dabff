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


@pytest.fixture(
    scope="module",
    params=[("node2",), ("node3",), ("node1", "node2")],
    ids=lambda names: "".join(names),
)
def theirs(request: pytest.FixtureRequest) -> tuple[str, ...]:
    names: tuple[str, ...] = request.param
    return names


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab, theirs: tuple[str, ...]) -> Iterator[Lab]:
    """Node 1, which becomes the ghost, is of either kind, and one of the others is ours."""
    lab = make_lab(3, binaries=dict.fromkeys(theirs, os.environ["PMXCFS_REFERENCE"]))
    yield lab
    lab.down()


def test_ours_answer_in_time_and_all_are_equal_when_the_ghosts_node_is_back(
    lab: Lab, nodes: Nodes, theirs: tuple[str, ...], tmp_path: Path
) -> None:
    (ours,) = {"node2", "node3"}.difference(theirs)
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
            for node in theirs:
                wait_for_text(nodes[node], name, "")
