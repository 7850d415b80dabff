"""Whatever fails while all nodes write: afterwards all are equal, and the majority lost nothing."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .mixture import Mixture
from .mounts import SETTLES_WITHIN_S, Nodes, wait_for_quorum
from .services import end, stopped
from .writers import Writer, writing

pytestmark = pytest.mark.mixed_only

Fault = Callable[[Lab, str, dict[str, Writer]], None]
"""Breaks something on a node, sees the others write on, and mends it."""

LONG_COUNT = 30
"""A fault lasts until the others have written so many more files."""


def others_write_on(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    """Return when each of the other nodes has written a good deal more."""
    others = [writer for name, writer in writers.items() if name != victim]
    goals = {writer.node: writer.count() + LONG_COUNT for writer in others}

    def check() -> None:
        for writer in others:
            assert writer.count() >= goals[writer.node], f"{writer.node} writes no more"

    eventually(check, within_s=SETTLES_WITHIN_S)


def cut_off(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    lab.partition(victim)
    wait_for_quorum(lab, victim, expected=False)
    others_write_on(lab, victim, writers)
    lab.heal()


def all_cut_off(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    """Nobody has a majority for a while."""
    lab.partition(*lab.plan.names)
    for name in lab.plan.names:
        wait_for_quorum(lab, name, expected=False)
    lab.heal()


def kill_node(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    lab.kill(victim)
    others_write_on(lab, victim, writers)
    lab.start(victim)


def kill_daemon(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    lab.kill(victim, [Service.PMXCFS])
    others_write_on(lab, victim, writers)
    lab.start(victim)


def stop_daemon(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    end(lab, victim, [Service.PMXCFS])
    others_write_on(lab, victim, writers)
    lab.start(victim)


def hang_daemon(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    with stopped(lab, victim, Service.PMXCFS):
        others_write_on(lab, victim, writers)


def hang_corosync(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    """Longer than the token: the others form a ring without it."""
    with stopped(lab, victim, Service.COROSYNC):
        others_write_on(lab, victim, writers)


def hang_and_change_the_members(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    """Meanwhile another one comes and goes, so that its answer is waited for."""
    other = next(name for name in writers if name != victim)
    with stopped(lab, victim, Service.PMXCFS):
        lab.kill(other, [Service.PMXCFS])
        lab.start(other)


def kill_corosync(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    lab.kill(victim, [Service.COROSYNC])
    others_write_on(lab, victim, writers)
    lab.start(victim)


def restart_corosync(lab: Lab, victim: str, writers: dict[str, Writer]) -> None:
    """It is started again once the old one has ended, which it does not do at once."""
    lab.stop(victim, [Service.COROSYNC])
    others_write_on(lab, victim, writers)
    lab.start(victim)


FAULTS: list[Fault] = [
    cut_off,
    all_cut_off,
    kill_node,
    kill_daemon,
    stop_daemon,
    hang_daemon,
    hang_corosync,
    hang_and_change_the_members,
    kill_corosync,
    restart_corosync,
]


def victims(mixture: Mixture) -> list[str]:
    """Return one node of each kind."""
    return [kind[0] for kind in (mixture.theirs, mixture.ours) if kind]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_after_a_fault_all_are_equal_and_the_majority_has_lost_nothing(
    lab: Lab, nodes: Nodes, mixture: Mixture, fault: Fault, tmp_path: Path
) -> None:
    for victim in victims(mixture):
        top = f"/etc/pve/{fault.__name__}-{victim}"
        folder = tmp_path / victim
        folder.mkdir()
        with writing(lab, list(nodes), top, folder) as writers:
            fault(lab, victim, writers)
            others_write_on(lab, victim, writers)
            acknowledged: dict[str, bytes] = {}
            for name, writer in writers.items():
                done = writer.finish()
                acknowledged |= done if name != victim and fault is not all_cut_off else {}
        lab.wait(within_s=2 * SETTLES_WITHIN_S)
        lab.trees_are_equal()
        lost = missing(lab, acknowledged)
        assert not lost, f"{len(lost)} of {len(acknowledged)} are lost: {lost[:5]}"


def missing(lab: Lab, acknowledged: dict[str, bytes]) -> list[str]:
    """Return the files that the first node does not have as they were written."""
    tree = lab.trees(["node1"])["node1"]
    return [
        name
        for name, content in acknowledged.items()
        if tree.get(name.removeprefix("/etc/pve/"), {}).get("sha256")
        != hashlib.sha256(content).hexdigest()
    ]
