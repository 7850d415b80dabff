"""Locks: who holds one keeps it while it is refreshed, and 120 s longer, whoever asks."""

import time

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab

from pmxcfs.memdb.locks import LOCK_LIFETIME_S

from .mounts import Nodes, exists, run, wait_until_gone

FOLDER = "priv/lock"
SLACK_S = 20.0

BREAK = "touch -c -d @0 %s"
"""What a client does who waits for a lock."""


@pytest.fixture
def lock(nodes: Nodes) -> str:
    """A lock that node 1 has just taken."""
    path = f"{FOLDER}/held"
    run(nodes["node1"], "mkdir -p %s", f"/etc/pve/{FOLDER}")
    nodes["node1"].run("rmdir %s", f"/etc/pve/{path}")
    for node in nodes.values():
        wait_until_gone(node, path)
    run(nodes["node1"], "mkdir %s", f"/etc/pve/{path}")
    return path


def refusal(nodes: Nodes, name: str, command: str, path: str) -> str:
    result = nodes[name].run(command, f"/etc/pve/{path}")
    assert result.rc != 0, f"{name} was not refused"
    text: str = result.stderr
    return text


def test_a_held_lock_cannot_be_taken_broken_or_refreshed_by_others(
    lab: Lab, nodes: Nodes, lock: str
) -> None:
    for name in ("node2", "node3"):
        assert "File exists" in refusal(nodes, name, "mkdir %s", lock)
        assert "Permission denied" in refusal(nodes, name, BREAK, lock)
        assert "Permission denied" in refusal(nodes, name, "touch -d @4000000000 %s", lock)
    assert "Permission denied" in refusal(nodes, "node1", BREAK, lock)
    run(nodes["node1"], "touch %s", f"/etc/pve/{lock}")
    lab.trees_are_equal()


def test_whoever_removes_a_lock_makes_it_free_for_all(lab: Lab, nodes: Nodes, lock: str) -> None:
    run(nodes["node3"], "rmdir %s", f"/etc/pve/{lock}")
    wait_until_gone(nodes["node2"], lock)
    run(nodes["node2"], "mkdir %s", f"/etc/pve/{lock}")
    lab.trees_are_equal()


@pytest.mark.mixed_only
def test_a_lock_is_free_after_120_s_without_a_refresh_and_not_before(
    lab: Lab, nodes: Nodes, lock: str
) -> None:
    """Every node asks for one of its own; the lock that its holder refreshes is asked for too."""
    free_after_s: dict[str, float] = {}
    taken_s = time.monotonic()
    for asker in nodes:
        run(nodes["node1"], "mkdir -p %s", f"/etc/pve/{FOLDER}/for-{asker}")

    def are_free() -> None:
        run(nodes["node1"], "touch %s", f"/etc/pve/{lock}")
        for asker, node in nodes.items():
            node.run(BREAK, f"/etc/pve/{FOLDER}/for-{asker}")
            assert "Permission denied" in refusal(nodes, asker, BREAK, lock)
            if not exists(node, f"{FOLDER}/for-{asker}"):
                free_after_s.setdefault(asker, time.monotonic() - taken_s)
        assert free_after_s.keys() == nodes.keys()

    eventually(are_free, within_s=LOCK_LIFETIME_S + SLACK_S, every_s=1.0)
    assert min(free_after_s.values()) > LOCK_LIFETIME_S
    assert all(exists(node, lock) for node in nodes.values())
    for asker in nodes:
        for node in nodes.values():
            wait_until_gone(node, f"{FOLDER}/for-{asker}")
    lab.trees_are_equal()
