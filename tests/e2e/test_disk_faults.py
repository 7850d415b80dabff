"""Disks that fail under a real lab, and loss of power: what GUARANTEES promises of fsync holds."""

import os
from collections.abc import Iterator

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.disks import BitFlips, DiskErrors, DiskFull, DiskSlow
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.power import LostWrites, PowerOff, TornWrites
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.options import Options
from pmxcfs_lab.provider import Completed

from .conftest import MakeLab, mend
from .where import PYTHON

FELT_WITHIN_S = 30.0
COUNT = 20

WRITE = """
import os, sys
first, count, is_synced = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "fsync"
for number in range(first, first + count):
    file = os.open(f"/etc/pve/file{number}", os.O_CREAT | os.O_WRONLY)
    os.write(file, f"text of {number}".encode() * 100)
    if is_synced:
        os.fsync(file)
    os.close(file)
"""

READ = """
import os, sys
for number in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    try:
        with open(f"/etc/pve/file{number}") as file:
            text = file.read()
    except FileNotFoundError:
        print("missing")
    else:
        print("whole" if text == f"text of {number}" * 100 else f"part {len(text)}")
"""


@pytest.fixture(scope="module")
def fragile(make_lab: MakeLab) -> Lab:
    return make_lab(3, options=Options(disk=True))


@pytest.fixture
def lab(fragile: Lab) -> Iterator[Lab]:
    mend(fragile)
    yield fragile
    Active(fragile).heal_all()
    fragile.trees_are_equal()


def write(lab: Lab, node: str, first: int, how: str, count: int = COUNT) -> Completed:
    return lab.exec(node, PYTHON, "-c", WRITE, str(first), str(count), how)


def read(lab: Lab, node: str, first: int) -> list[str]:
    done = lab.exec(node, PYTHON, "-c", READ, str(first), str(COUNT))
    return done.stdout.decode().splitlines()


def with_fault(lab: Lab, fault: Fault) -> None:
    active = Active(lab)
    active.inject(fault)
    active.heal(fault)


@pytest.mark.parametrize("keep", [pytest.param(0.0, marks=pytest.mark.thorough), 0.5])
def test_what_was_fsynced_outlives_the_loss_of_all_power(lab: Lab, keep: float) -> None:
    assert write(lab, "node1", 100, "fsync").exit_status == 0
    write(lab, "node2", 200, "not")
    with_fault(lab, PowerOff(lab.plan.names, seed=7, keep=keep))
    assert read(lab, "node3", 100) == ["whole"] * COUNT


def test_what_was_not_fsynced_is_lost_with_all_power_and_never_half(lab: Lab) -> None:
    assert write(lab, "node1", 300, "fsync", 1).exit_status == 0
    assert write(lab, "node1", 301, "not", COUNT - 1).exit_status == 0
    with_fault(lab, PowerOff(lab.plan.names))
    found = read(lab, "node1", 300)
    assert found[0] == "whole"
    assert found == sorted(found, reverse=True), "a later change is there and an earlier one is not"
    assert "missing" in found, "the layer took nothing away"


@pytest.mark.thorough
@pytest.mark.parametrize("fault", [LostWrites("node2"), TornWrites("node2", seed=3)])
def test_a_node_that_lost_what_it_had_not_synced_takes_it_from_the_others(
    lab: Lab, fault: Fault
) -> None:
    assert write(lab, "node2", 400, "not").exit_status == 0
    with_fault(lab, fault)
    assert read(lab, "node2", 400) == ["whole"] * COUNT


@pytest.mark.thorough
def test_a_full_disk_keeps_one_node_from_changes_until_there_is_room(lab: Lab) -> None:
    active = Active(lab)
    active.inject(DiskFull("node3"))
    blocks = lab.exec("node3", "stat", "-f", "-c", "%a", "/var/lib/pve-cluster").stdout
    assert blocks == b"0\n"
    refused = lab.exec("node3", "touch", "/var/lib/pve-cluster/new")
    assert b"No space left" in refused.stderr
    assert write(lab, "node1", 500, "not").exit_status == 0
    active.heal(DiskFull("node3"))
    assert read(lab, "node3", 500) == ["whole"] * COUNT


@pytest.mark.thorough
def test_a_disk_that_fails_to_write_stops_its_node_and_nobody_else(lab: Lab) -> None:
    active = Active(lab)
    active.inject(DiskErrors("node3", ("write", "fsync")))
    assert write(lab, "node1", 600, "not").exit_status == 0

    def is_felt() -> None:
        assert write(lab, "node3", 620, "not", 1).exit_status != 0

    eventually(is_felt, within_s=FELT_WITHIN_S)
    assert read(lab, "node2", 600) == ["whole"] * COUNT
    active.heal(DiskErrors("node3", ("write", "fsync")))
    assert read(lab, "node3", 600) == ["whole"] * COUNT


@pytest.mark.thorough
def test_a_slow_disk_delays_its_node(lab: Lab) -> None:
    active = Active(lab)
    active.inject(DiskSlow("node2", delay_ms=100.0))
    timed = lab.exec("node2", PYTHON, "-c", TIMED_SYNC)
    assert float(timed.stdout) >= 0.1
    active.heal(DiskSlow("node2", delay_ms=100.0))


TIMED_SYNC = """
import os, time
file = os.open("/var/lib/pve-cluster/timed", os.O_CREAT | os.O_WRONLY)
began_s = time.monotonic()
os.fsync(file)
print(time.monotonic() - began_s)
os.unlink("/var/lib/pve-cluster/timed")
"""


@pytest.mark.thorough
@pytest.mark.parametrize("file", ["config.db", "config.db-wal"])
def test_a_node_with_flipped_bits_never_spreads_them(lab: Lab, file: str) -> None:
    assert write(lab, "node1", 700, "not").exit_status == 0
    active = Active(lab)
    active.inject(BitFlips("node2", file, bits=64, seed=5))
    assert read(lab, "node1", 700) == ["whole"] * COUNT
    active.heal(BitFlips("node2", file, bits=64, seed=5))
    assert read(lab, "node2", 700) == ["whole"] * COUNT


@pytest.mark.thorough
@pytest.mark.needs("reference")
def test_the_reference_loses_what_it_was_asked_to_fsync(make_lab: MakeLab) -> None:
    """The positive control: the same fault, with the daemon that promises nothing of fsync."""
    binary = os.environ["PMXCFS_REFERENCE"]
    binaries = {f"node{number}": binary for number in (1, 2, 3)}
    lab = make_lab(3, binaries=binaries, options=Options(disk=True))
    assert write(lab, "node1", 100, "fsync").exit_status == 0
    fault = PowerOff(lab.plan.names)
    fault.inject(lab)
    fault.heal(lab)

    def is_mounted() -> None:
        assert lab.exec("node1", "mountpoint", "-q", "/etc/pve").exit_status == 0

    eventually(is_mounted, within_s=FELT_WITHIN_S)
    assert "missing" in read(lab, "node1", 100)
