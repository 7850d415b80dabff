"""Nodes that gather writes: what is closed is in the cluster's order, and what is not, soon is."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from .conftest import MakeLab
from .where import PYTHON, REPOSITORY

Nodes = dict[str, Host]

SOON_S = 10.0
WITHIN_S = 60.0
PIECES = 500

WRITE = """
import json, os, socket, sys, time
name, done = sys.argv[1:]

def version():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/pve-cluster/status.sock")
        return json.loads(connection.makefile("rb").readline())["tree_version"]

file = os.open("/etc/pve/" + name, os.O_CREAT | os.O_WRONLY)
before = version()
for number in range(500):
    os.write(file, b"%07d\\n" % number)
if not done:
    os.close(file)
    print(version() - before)
else:
    open(done, "w").close()
    time.sleep(60)
"""

WRITE_WHEN_CUT_OFF = """
import errno, os, sys, time
name, outcome = sys.argv[1:]
file = os.open("/etc/pve/" + name, os.O_CREAT | os.O_WRONLY)
os.write(file, b"before")
while os.stat("/etc/pve/" + name).st_mode & 0o222:
    time.sleep(0.05)
try:
    os.write(file, b"after")
    word = "done"
except OSError as error:
    word = errno.errorcode[error.errno]
open(outcome, "w").write(word)
"""

TEXT = b"".join(b"%07d\n" % number for number in range(PIECES))


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    program = tmp_path_factory.mktemp("gathering") / "pmxcfs"
    program.write_text(
        f'#!/bin/sh\ncd {REPOSITORY} && exec {sys.executable} -m pmxcfs --gather-writes "$@"\n'
    )
    program.chmod(0o755)
    program.parent.chmod(0o755)
    return make_lab(3, binaries={f"node{number}": str(program) for number in (1, 2, 3)})


def content(node: Host, name: str) -> bytes:
    text: bytes = node.run("cat /etc/pve/%s", name).stdout_bytes
    return text


def test_what_is_closed_was_few_changes_and_is_on_all_nodes(lab: Lab, nodes: Nodes) -> None:
    written = nodes["node1"].run("%s -c %s closed.txt ''", PYTHON, WRITE)
    assert written.rc == 0, written.stderr
    assert int(written.stdout) < PIECES / 10
    for node in nodes.values():
        eventually(partial(_has, node, "closed.txt"), within_s=SOON_S)


def test_what_nobody_closes_is_on_all_nodes_a_moment_later(nodes: Nodes, tmp_path: Path) -> None:
    with in_background(nodes["node2"], WRITE, "open.txt", f"{tmp_path}/done"):
        for node in nodes.values():
            eventually(partial(_has, node, "open.txt"), within_s=SOON_S)


def test_who_is_cut_off_is_refused_at_the_write(lab: Lab, nodes: Nodes, tmp_path: Path) -> None:
    outcome = f"{tmp_path}/outcome"
    with in_background(nodes["node3"], WRITE_WHEN_CUT_OFF, "cut.txt", outcome):
        eventually(partial(_says, nodes["node1"], "/etc/pve/cut.txt", "before"), within_s=SOON_S)
        lab.partition("1,2", "3")
        eventually(partial(_says, nodes["node3"], outcome, "EACCES"), within_s=WITHIN_S)
    lab.heal()
    lab.wait()
    assert {content(node, "cut.txt") for node in nodes.values()} == {b"before"}


def test_the_end_of_a_daemon_sends_what_was_answered(
    lab: Lab, nodes: Nodes, tmp_path: Path
) -> None:
    with in_background(nodes["node1"], WRITE, "ended.txt", f"{tmp_path}/done"):
        eventually(partial(_says, nodes["node1"], f"{tmp_path}/done", ""), within_s=SOON_S)
        lab.stop("node1", [Service.PMXCFS])
        for name in ("node2", "node3"):
            eventually(partial(_has, nodes[name], "ended.txt"), within_s=SOON_S)


@contextmanager
def in_background(node: Host, program: str, *arguments: str) -> Iterator[None]:
    """Run a program on a node for as long as the block lasts."""
    words = " ".join(map(shlex.quote, [PYTHON, "-c", program, *arguments]))
    started = node.run("sh -c %s", f"{words} >/dev/null 2>&1 & echo $!")
    assert started.rc == 0, started.stderr
    try:
        yield
    finally:
        node.run("kill -9 %s", started.stdout.strip())


def _has(node: Host, name: str) -> None:
    assert content(node, name) == TEXT


def _says(node: Host, path: str, word: str) -> None:
    found = node.run("cat %s", path)
    assert (found.rc, found.stdout) == (0, word)
