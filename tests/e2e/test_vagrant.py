"""The lab's verbs on virtual machines, for which nodes of another lab stand in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pmxcfs_lab
import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Capability, Service
from pmxcfs_lab.vagrant import commands, requirements
from pmxcfs_lab.vagrant.provider import VagrantProvider

from . import vagrant_stand_in
from .conftest import MakeLab

pytestmark = [pytest.mark.lab_has(Capability.NAMESPACES), pytest.mark.thorough]

PACKAGES = Path(pmxcfs_lab.__file__).parents[1]


@pytest.fixture(scope="module")
def virtual(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    machines = make_lab(3)
    for name in machines.plan.names:
        machines.stop(name)
    folder = tmp_path_factory.mktemp("bin")
    path = vagrant_stand_in.install(folder, machines, PACKAGES)
    layout = Layout("vm", folder / "run", folder / "state")  # a killed run leaves no lab behind
    lab = Lab(layout, VagrantProvider(layout), "vagrant", print)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        patch.setattr(commands, "PATH", path)
        patch.setattr(requirements, "missing", list)
        patch.setattr(VagrantProvider, "python", sys.executable)
        lab.up(make_plan(lab.name, 3))
        yield lab
        assert lab.down()
        assert not lab.down()


def test_a_lab_of_machines_works_as_one(virtual: Lab) -> None:
    assert virtual.plan.node("node2").address.endswith(".12")
    made = virtual.exec("node1", "sh", "-c", "cat >/etc/pve/greeting", stdin=b"hello\n")
    assert made.exit_status == 0
    assert virtual.exec("node3", "cat", "/etc/pve/greeting").stdout == b"hello\n"
    assert virtual.groups() == (virtual.plan.names,)
    virtual.trees_are_equal()


def test_a_machine_that_is_cut_off_loses_quorum_and_catches_up(virtual: Lab) -> None:
    virtual.partition("3")
    virtual.wait(["node1", "node2"])
    assert virtual.groups() == (("node1", "node2"), ("node3",))
    virtual.exec("node1", "sh", "-c", "echo later >/etc/pve/later")

    def is_refused() -> None:
        assert virtual.exec("node3", "touch", "/etc/pve/refused").exit_status != 0

    eventually(is_refused, within_s=20)
    virtual.heal()
    virtual.wait()
    assert virtual.exec("node3", "cat", "/etc/pve/later").stdout == b"later\n"
    virtual.trees_are_equal()


def test_a_daemon_that_is_killed_is_seen_and_started_again(virtual: Lab) -> None:
    virtual.kill("node2", [Service.PMXCFS])
    row = next(row for row in virtual.glances() if row.name == "node2")
    assert row.pmxcfs == "exited 137"
    virtual.start("node2")
    virtual.wait()
    virtual.stop("node2")
    virtual.wait(["node1", "node3"])
    virtual.start("node2")
    virtual.wait()
    assert "--- lab: starting" in virtual.logs("node2")["pmxcfs"].read_text()


def test_up_again_changes_nothing(virtual: Lab) -> None:
    before = virtual.exec("node1", "cat", "/etc/pve/.version").stdout
    virtual.up(virtual.plan)
    assert virtual.exec("node1", "cat", "/etc/pve/.version").stdout == before


def test_a_client_is_started_and_ends_with_its_input(virtual: Lab) -> None:
    argv = virtual.attach_argv("node2", [virtual.python, "-c", "print(input()); input()"])
    done = subprocess.run(argv, input=b"word\n", capture_output=True, timeout=30, check=False)
    assert done.stdout == b"word\n"
    assert b"EOFError" in done.stderr
