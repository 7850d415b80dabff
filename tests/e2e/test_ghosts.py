"""A member that does not exist stops a cluster only for a while."""

from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab

from pmxcfs.waits.ghosts import SILENCE_S_MAX

from .haunting import GHOST, Nodes, group_members, haunt

RECOVERED_WITHIN_S = SILENCE_S_MAX + 30.0


@pytest.mark.thorough
def test_a_ghost_is_left_out_and_the_cluster_goes_on(
    lab: Lab, nodes: Nodes, tmp_path: Path
) -> None:
    haunt(lab, nodes, tmp_path)
    lab.wait(["node2", "node3"], within_s=RECOVERED_WITHIN_S)
    assert GHOST in group_members(nodes["node2"]), "corosync has forgotten the ghost by itself"
    assert nodes["node2"].run("echo on > /etc/pve/goes").rc == 0
    assert nodes["node3"].run("cat /etc/pve/goes").stdout == "on\n"
    for name in ("node2", "node3"):
        assert "members of the group do not exist" in lab.logs(name)["pmxcfs"].read_text()

    lab.start("node1")
    lab.wait()
    lab.trees_are_equal()
