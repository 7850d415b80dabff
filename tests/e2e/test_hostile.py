"""Whatever bytes come into the groups: nobody ends, all come back, nothing grows without end."""

from pathlib import Path

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from pmxcfs.log_storms import LINES_MAX
from pmxcfs.status.kvstore import TABLE_BYTES_MAX, VALUE_BYTES_MAX

from .mounts import Nodes, read, wait_for_text, write
from .services import pid_of
from .where import PYTHON

REPOSITORY = Path(__file__).parents[2]
ATTACKED_FROM = "node3"
ATTACK_S_MAX = 200.0
BACK_WITHIN_S = 90.0

LOGGED_MAX = 40 * LINES_MAX
GROWTH_BYTES_MAX = 3 * TABLE_BYTES_MAX
FLOOD = 3 * TABLE_BYTES_MAX * 2 // VALUE_BYTES_MAX
"""Six times as many bytes as a node's table takes."""


def attack(lab: Lab, *arguments: str) -> None:
    program = (PYTHON, "-m", "tests.e2e.hostile", *arguments)
    done = lab.exec(ATTACKED_FROM, "env", "-C", str(REPOSITORY), *program, timeout_s=ATTACK_S_MAX)
    assert done.stdout == b"done\n", done.stderr.decode()


def daemons(lab: Lab) -> dict[str, int]:
    return {name: pid_of(lab, name, Service.PMXCFS) for name in lab.plan.names}


def resident_bytes(lab: Lab, node: str) -> int:
    path = f"/proc/{pid_of(lab, node, Service.PMXCFS)}/status"
    lines = lab.exec(node, "cat", path).stdout.decode().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def log_size(lab: Lab, node: str) -> int:
    return lab.logs(node)["pmxcfs"].stat().st_size


def lines_since(lab: Lab, sizes: dict[str, int], node: str) -> list[str]:
    return lab.logs(node)["pmxcfs"].read_bytes()[sizes[node] :].decode().splitlines()


def test_nonsense_in_the_trees_group_makes_all_leave_say_why_and_come_back(
    lab: Lab, nodes: Nodes
) -> None:
    write(nodes["node1"], "before", "the attack")
    pids, sizes = daemons(lab), {name: log_size(lab, name) for name in nodes}

    attack(lab, "pve_dcdb_v1", "1", "2", "2000")

    lab.wait(within_s=BACK_WITHIN_S)
    assert daemons(lab) == pids
    assert read(nodes["node2"], "before") == "the attack"
    write(nodes["node2"], "after", "the attack")
    for node in nodes.values():
        wait_for_text(node, "after", "the attack")
    lab.trees_are_equal()
    for name in nodes:
        lines = lines_since(lab, sizes, name)
        leaving = [line for line in lines if "leaving the group" in line and "reason=" in line]
        assert leaving, "nothing was sent that makes anybody leave"
        assert len(lines) < LOGGED_MAX
        assert not [line for line in lines if "Traceback" in line]


def test_nonsense_in_the_status_group_is_ignored_with_few_words(lab: Lab, nodes: Nodes) -> None:
    pids, sizes = daemons(lab), {name: log_size(lab, name) for name in nodes}

    attack(lab, "pve_kvstore_v1", "3", "1", "5000")

    lab.wait(within_s=BACK_WITHIN_S)
    assert daemons(lab) == pids
    lab.trees_are_equal()
    for name, node in nodes.items():
        lines = lines_since(lab, sizes, name)
        assert len(lines) < LOGGED_MAX
        assert not [line for line in lines if "Traceback" in line]
        assert '"online": 1' in read(node, ".members")


def test_a_member_that_publishes_without_end_costs_the_others_a_bounded_memory(
    lab: Lab, nodes: Nodes
) -> None:
    before = {name: resident_bytes(lab, name) for name in nodes}
    sizes = {name: log_size(lab, name) for name in nodes}

    attack(lab, "pve_kvstore_v1", "4", "1", str(FLOOD), "FLOOD")

    lab.wait(within_s=BACK_WITHIN_S)
    for name, size_bytes in before.items():
        assert resident_bytes(lab, name) - size_bytes < GROWTH_BYTES_MAX
        assert "publishes too much" in "\n".join(lines_since(lab, sizes, name))
