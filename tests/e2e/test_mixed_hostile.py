"""Nonsense in the groups of a cluster with nodes of the reference: ours stay, or come back.

The reference may leave a group for good; with its daemon started again, all nodes are equal.
"""

import os
from collections.abc import Iterator

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .conftest import MakeLab
from .mounts import Nodes, read, wait_for_text, write
from .test_hostile import BACK_WITHIN_S, attack, daemons

pytestmark = pytest.mark.needs("reference")


@pytest.fixture(
    scope="module",
    params=[("node2",), ("node1", "node2"), ("node2", "node3")],
    ids=lambda names: "".join(names),
)
def theirs(request: pytest.FixtureRequest) -> tuple[str, ...]:
    names: tuple[str, ...] = request.param
    return names


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab, theirs: tuple[str, ...]) -> Iterator[Lab]:
    lab = make_lab(3, binaries=dict.fromkeys(theirs, os.environ["PMXCFS_REFERENCE"]))
    yield lab
    lab.down()


@pytest.mark.parametrize(
    "arguments",
    [
        ("pve_dcdb_v1", "1", "1", "2000"),
        ("pve_dcdb_v1", "2", "1", "2000"),
        ("pve_kvstore_v1", "3", "1", "5000"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_nonsense_ends_no_daemon_of_ours_and_all_are_equal_after_a_restart_of_theirs(
    lab: Lab, nodes: Nodes, theirs: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    write(nodes["node1"], "before", "the attack")
    pids = daemons(lab)

    attack(lab, *arguments)

    for name in theirs:
        lab.kill(name, [Service.PMXCFS])
        lab.start(name, [Service.PMXCFS])
    lab.wait(within_s=BACK_WITHIN_S)
    now = daemons(lab)
    assert [now[name] for name in now if name not in theirs] == [
        pids[name] for name in pids if name not in theirs
    ]
    assert read(nodes["node3"], "before") == "the attack"
    write(nodes["node3"], "after", "the attack")
    for node in nodes.values():
        wait_for_text(node, "after", "the attack")
    lab.trees_are_equal()
