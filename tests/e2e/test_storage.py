"""A node whose database is locked for too long leaves, the others go on, and it comes back."""

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from testinfra.host import Host

from .where import PYTHON

DATABASE = "/var/lib/pve-cluster/config.db"
WITHIN_S = 60.0

HOLD_THE_LOCK = """
import sqlite3, sys, time
from pathlib import Path
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
while not Path(sys.argv[2]).exists():
    time.sleep(0.05)
"""


def state_of(node: Host) -> tuple[str, bool]:
    """Return what the node says of its sync and of its database."""
    program = (
        "import json, socket; s = socket.socket(socket.AF_UNIX); "
        "s.connect('/run/pve-cluster/status.sock'); line = json.loads(s.makefile().readline()); "
        "print(line['sync'], line['database_failed'])"
    )
    word, has_failed = node.run("%s -c %s", PYTHON, program).stdout.split()
    return word, has_failed == "True"


@pytest.mark.thorough
def test_a_node_with_a_locked_database_leaves_and_comes_back_with_all_that_it_missed(
    lab: Lab, nodes: dict[str, Host]
) -> None:
    victim = nodes["node2"]
    assert nodes["node1"].run("echo old > /etc/pve/file").rc == 0
    release = "/run/pve-cluster/release-the-lock"
    started = victim.run(
        "nohup %s -c %s %s %s >/run/pve-cluster/holder 2>&1 &",
        PYTHON,
        HOLD_THE_LOCK,
        DATABASE,
        release,
    )
    assert started.rc == 0

    def is_locked() -> None:
        assert victim.run("cat /run/pve-cluster/holder").stdout == "locked\n"

    eventually(is_locked, within_s=WITHIN_S)
    assert nodes["node1"].run("echo new > /etc/pve/file").rc == 0
    assert nodes["node3"].run("cat /etc/pve/file").stdout == "new\n"
    assert victim.run("cat /etc/pve/file").stdout == "old\n"

    def has_left() -> None:
        assert state_of(victim) == ("leave", True)

    eventually(has_left, within_s=WITHIN_S)
    lab.wait(["node1", "node3"], within_s=WITHIN_S)
    assert nodes["node3"].run("echo newer > /etc/pve/file").rc == 0
    assert victim.run("cat /etc/pve/file").stdout == "old\n"
    assert victim.run("touch /etc/pve/refused").rc != 0

    assert victim.run("touch %s", release).rc == 0
    lab.wait(within_s=WITHIN_S)
    assert victim.run("cat /etc/pve/file").stdout == "newer\n"
    assert victim.run("touch /etc/pve/writable_again").rc == 0
    lab.trees_are_equal()
