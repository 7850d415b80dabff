"""Random operations on one node of three: right there, and the same on the others afterwards."""

import sys
from pathlib import Path

from pmxcfs_lab.lab import Lab
from testinfra.host import Host

REPOSITORY = Path(__file__).parents[2]
WRITERS = ("node1", "node2", "node3", "node1")
OPERATIONS = 250
SOAKS_WITHIN_S = 60.0


def test_every_node_has_what_random_operations_on_one_left(
    lab: Lab, nodes: dict[str, Host]
) -> None:
    """The soak itself compares the writer's answers with files in memory."""
    assert nodes["node1"].run("mkdir /etc/pve/soak").rc == 0
    for seed, writer in enumerate(WRITERS):
        soak = (sys.executable, "-m", "tests.fuse.soak", "/etc/pve/soak", "--keep")
        numbers = ("--seed", str(seed), "--ops", str(OPERATIONS))
        done = lab.exec(
            writer, "env", "-C", str(REPOSITORY), *soak, *numbers, timeout_s=SOAKS_WITHIN_S
        )
        assert done.exit_status == 0, done.stdout.decode() + done.stderr.decode()
        lab.trees_are_equal()
    contents = lab.trees()["node1"]
    assert sum(path.startswith("soak/soak-") for path in contents) > 2 * len(WRITERS)
