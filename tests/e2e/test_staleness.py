"""Nobody reads what was replaced more than a second ago: readers on three nodes, writers on all.

``make staleness READS=1000000`` runs it for longer.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability
from testinfra.host import Host

from tests.e2e import stale_worker
from tests.e2e.staleness import LEGAL_FOR_S, Seen, Written, illegal

from .where import PYTHON

READS_MIN = int(os.environ.get("STALENESS_READS", "20000"))
READERS_PER_NODE = 1
FILES = ("small.1", "small.2", "pages.1", "replaced.1", "replaced.2")
STEP_S = 6.0
STEPS_MAX = 1000
ENDS_WITHIN_S = 120.0

DIRECTORY = Path("/etc/pve/stale")


class Worker:
    """A process on a node."""

    def __init__(self, lab: Lab, node: str, role: str, name: str) -> None:
        command = [PYTHON, stale_worker.__file__, role, name, str(DIRECTORY)]
        self._process = subprocess.Popen(
            lab.attach_argv(node, command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        assert self._process.stdout.readline() == "ready\n"
        self._process.stdin.write(" ".join(FILES) + "\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        out, _ = self._process.communicate(timeout=ENDS_WITHIN_S)
        assert self._process.returncode == 0
        told: dict[str, Any] = json.loads(out)
        return told


def _make_files(lab: Lab) -> list[Written]:
    """Have every file in its first text; return the writes of that."""
    start_s = time.monotonic()
    made = []
    for turn, file in enumerate(FILES):
        text = stale_worker.text_of("first", turn, file.partition(".")[0])
        path = DIRECTORY / file
        done = lab.exec("node1", "sh", "-c", f"cat >{path}", stdin=text)
        assert done.exit_status == 0, done.stderr
        line = text[: stale_worker.LINE_BYTES - 1].decode()
        made.append(Written(file, line, start_s, time.monotonic()))
    return made


@pytest.mark.lab_has(Capability.SHARED_FOLDERS)
def test_no_read_sees_what_was_replaced_more_than_a_second_ago(
    lab: Lab, nodes: dict[str, Host]
) -> None:
    assert nodes["node1"].run(f"mkdir -p {DIRECTORY}").rc == 0
    writes = _make_files(lab)
    lab.trees_are_equal()
    reads = steps = 0
    while reads < READS_MIN and steps < STEPS_MAX:
        steps += 1
        writers = [Worker(lab, node, "write", f"{node[-1]}w{steps}") for node in nodes]
        readers = [
            Worker(lab, node, "read", f"{node}-{number}")
            for node in nodes
            for number in range(READERS_PER_NODE)
        ]
        for worker in (*writers, *readers):
            worker.begin()
        time.sleep(STEP_S)  # this is how long they work, nobody waits for anything
        told = [worker.end() for worker in (*writers, *readers)]
        writes += [Written(*write) for one in told for write in one.get("writes", ())]
        seen = [Seen(*run) for one in told for run in one.get("runs", ())]
        reads += sum(one.get("reads", 0) for one in told)
        wrong = list(illegal(seen, writes))
        assert wrong == [], f"{len(wrong)} of {len(seen)}: {wrong[:5]}"
        print(f"{reads} reads, {len(writes)} writes, none wrong", file=sys.stderr, flush=True)
        writes = _still_there(writes)
    assert reads >= READS_MIN
    lab.trees_are_equal()


def _still_there(writes: list[Written]) -> list[Written]:
    """Return the writes that later reads may see: those that none surely followed."""
    last_start_s = {file: max(w.start_s for w in writes if w.file == file) for file in FILES}
    return [write for write in writes if write.end_s >= last_start_s[write.file]]


FIRST, SECOND = Written("f", "1", 10.0, 10.1), Written("f", "2", 11.0, 11.1)


@pytest.mark.parametrize(
    "read",
    [Seen("f", "1", 10.0, 12.0), Seen("f", "2", 11.0, 99.0), Seen("f", "2", 12.2, 99.0)],
)
def test_the_checker_takes_what_is_legal(read: Seen) -> None:
    assert list(illegal([read], [FIRST, SECOND])) == []


@pytest.mark.parametrize(
    "read",
    [
        Seen("f", "1", 10.5, 11.1 + LEGAL_FOR_S + 0.01),
        Seen("f", "2", 10.9, 99.0),
        Seen("f", "3", 10.9, 12.0),
        Seen("f", "", 10.9, 12.0),
    ],
)
def test_the_checker_finds_what_is_not(read: Seen) -> None:
    assert len(list(illegal([read], [FIRST, SECOND]))) == 1
