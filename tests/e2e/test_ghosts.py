"""A member that does not exist (corosync pull request 828) stops a cluster only for a while.

The ghost is a real one: node 1's corosync is killed in the middle of joining the ring, after it has
told which processes it has. That is a matter of milliseconds, so it may take several tries.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from pmxcfs.waits.ghosts import SILENCE_S_MAX

Nodes = dict[str, Host]

GHOST = " 1 (10.97.0.1)"
"""How corosync's tool shows a process of node 1."""

TRIES = 8
HAUNTED_WITHIN_S = 8.0
RECOVERED_WITHIN_S = SILENCE_S_MAX + 30.0


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[Path]:
    """As long as this file is there, a corosync with the preload dies when it joins a ring."""
    path = tmp_path / "arm"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def preload(tmp_path: Path) -> Path:
    library = tmp_path / "ghost_maker.so"
    source = Path(__file__).with_name("ghost_maker.c")
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def group_members(node: Host) -> str:
    text: str = node.run("corosync-cpgtool").stdout
    return text


def ring(node: Host) -> str:
    text: str = node.run("corosync-quorumtool -s -i").stdout
    return text


def start_doomed(lab: Lab, node: Host, preload: Path, arm: Path) -> None:
    """Start node 1 alone, with a corosync that will die when it meets the others."""
    lab.partition("1", "2,3")
    lab.stop("node1")
    command = (
        f"GHOST_ARM={arm} LD_PRELOAD={preload} setsid corosync -f >/dev/null 2>&1 </dev/null &"
    )
    lab.exec("node1", "sh", "-c", command)

    def is_up() -> None:
        assert "Membership information" in ring(node)

    eventually(is_up, within_s=20)
    lab.start("node1", [Service.PMXCFS])

    def has_joined() -> None:
        assert group_members(node).count("10.97.") == 2

    eventually(has_joined, within_s=20)


def is_haunted(node: Host) -> bool:
    deadline_s = time.monotonic() + HAUNTED_WITHIN_S
    while time.monotonic() < deadline_s:
        in_group = GHOST in group_members(node)
        in_ring = "10.97.0.1" in ring(node)
        if in_group and not in_ring:
            return True
        time.sleep(0.5)
    return False


def test_a_ghost_is_left_out_and_the_cluster_goes_on(
    lab: Lab, nodes: Nodes, preload: Path, arm: Path
) -> None:
    for _ in range(TRIES):
        start_doomed(lab, nodes["node1"], preload, arm)
        arm.touch()
        lab.heal()
        if is_haunted(nodes["node2"]):
            break
        arm.unlink()
    else:
        pytest.fail(f"no ghost within {TRIES} tries")
    arm.unlink()

    lab.wait(["node2", "node3"], within_s=RECOVERED_WITHIN_S)
    assert GHOST in group_members(nodes["node2"]), "corosync has forgotten the ghost by itself"
    assert nodes["node2"].run("echo on > /etc/pve/goes").rc == 0
    assert nodes["node3"].run("cat /etc/pve/goes").stdout == "on\n"
    for name in ("node2", "node3"):
        assert "members of the group do not exist" in lab.logs(name)["pmxcfs"].read_text()

    lab.start("node1")
    lab.wait()
    lab.trees_are_equal()
