"""Makes node 1 a ghost: a member of the group that does not exist (corosync pull request 828).

The ghost is a real one: its corosync is killed in the middle of joining the ring, after it has told
which processes it has. That is a matter of milliseconds, so it may take several tries.
"""

import re
import subprocess
import time
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from .services import end

Nodes = dict[str, Host]

GHOST = " 1 (10.97."
"""How corosync's tool shows a process of node 1."""

TRIES = 8
HAUNTED_WITHIN_S = 8.0


def haunt(lab: Lab, nodes: Nodes, folder: Path) -> None:
    """Kill node 1 in such a way that the others go on seeing its daemon in the group."""
    preload, arm = _compiled(folder), folder / "arm"
    for _ in range(TRIES):
        _start_doomed(lab, nodes["node1"], preload, arm)
        arm.touch()
        lab.heal()
        is_successful = _is_haunted(nodes["node2"])
        arm.unlink()
        if is_successful:
            return
    pytest.fail(f"no ghost within {TRIES} tries")


def group_members(node: Host) -> str:
    """Return what corosync's tool says of the groups."""
    text: str = node.run("corosync-cpgtool").stdout
    return text


def _compiled(folder: Path) -> Path:
    library = folder / "ghost_maker.so"
    source = Path(__file__).with_name("ghost_maker.c")
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def _ring(node: Host) -> str:
    text: str = node.run("corosync-quorumtool -s -i").stdout
    return text


def _start_doomed(lab: Lab, node: Host, preload: Path, arm: Path) -> None:
    """Start node 1 alone, with a corosync that dies when it meets others while `arm` is there."""
    lab.partition("1", "2,3")
    end(lab, "node1")
    command = (
        f"GHOST_ARM={arm} LD_PRELOAD={preload} setsid corosync -f >/dev/null 2>&1 </dev/null &"
    )
    lab.exec("node1", "sh", "-c", command)

    def is_up() -> None:
        assert "Membership information" in _ring(node)

    eventually(is_up, within_s=20)
    lab.start("node1", [Service.PMXCFS])

    def has_joined() -> None:
        assert group_members(node).count("10.97.") >= 2

    eventually(has_joined, within_s=20)


def _is_haunted(node: Host) -> bool:
    deadline_s = time.monotonic() + HAUNTED_WITHIN_S
    while time.monotonic() < deadline_s:
        in_group = GHOST in group_members(node)
        in_ring = re.search(r"10\.97\.\d+\.1\b", _ring(node)) is not None
        if in_group and not in_ring:
            return True
        time.sleep(0.5)
    return False
