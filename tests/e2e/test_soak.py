"""Random operations on one node of three: right there, and the same on the others afterwards."""

from itertools import cycle, islice
from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Capability
from testinfra.host import Host

from .mixture import Mixture
from .where import PYTHON

REPOSITORY = Path(__file__).parents[2]
WRITERS = 4
OPERATIONS = 250
SOAKS_WITHIN_S = 60.0


@pytest.mark.lab_has(Capability.SHARED_FOLDERS)
def test_every_node_has_what_random_operations_on_one_left(
    lab: Lab, nodes: dict[str, Host], mixture: Mixture
) -> None:
    """The soak itself compares the answers of ours with files in memory; the reference's differ."""
    assert nodes["node1"].run("mkdir /etc/pve/soak").rc == 0
    for seed, writer in enumerate(islice(cycle(mixture.ours), WRITERS)):
        soak = (PYTHON, "-m", "tests.fuse.soak", "/etc/pve/soak", "--keep")
        numbers = ("--seed", str(seed), "--ops", str(OPERATIONS))
        done = lab.exec(
            writer, "env", "-C", str(REPOSITORY), *soak, *numbers, timeout_s=SOAKS_WITHIN_S
        )
        assert done.exit_status == 0, done.stdout.decode() + done.stderr.decode()
        lab.trees_are_equal()
    contents = lab.trees()["node1"]
    assert sum(path.startswith("soak/soak-") for path in contents) > 2 * WRITERS
