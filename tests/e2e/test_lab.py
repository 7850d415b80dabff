"""The lab itself: it comes up whole, stays up, and leaves nothing behind, whoever kills whom."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab import processes
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces.node import NO_OVERLAY
from pmxcfs_lab.provider import Capability
from pmxcfs_lab.providers import open_lab

from .conftest import PREFIX, MakeLab

PROGRAM = [sys.executable, "-m", "pmxcfs_lab"]

MOMENTS = ["switch.process", "node1.process", "node1.sock", "node2.process", "node2.sock"]
"""Files that appear one after the other while a lab of two nodes is built."""


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a lab that is removed after the test, whatever became of it."""
    name = f"{PREFIX}{os.getpid()}-cli"
    yield name
    open_lab(name, print).down()


def call(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "--lab", name, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def succeed(name: str, *arguments: str, **environment: str) -> str:
    completed = call(name, *arguments, **environment)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def traces(name: str) -> list[str]:
    """Return everything on this machine that belongs to the lab: files, processes, mounts."""
    layout = Layout(name)
    found = [str(path) for path in (layout.state, layout.run, layout.lock) if path.exists()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"/{name}/" in command:
            found.append(command)
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if name in line]
    return found


def links() -> str:
    return subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_a_lab_outlives_the_command_that_made_it_and_shows_nothing_outside(name: str) -> None:
    links_before, pve_before = links(), Path("/etc/pve").exists()
    said = succeed(name, "up", "--nodes", "1")
    assert f"--lab {name} status" in said
    assert "synced" in succeed(name, "status")
    assert links() == links_before
    assert Path("/etc/pve").exists() == pve_before
    assert [line for line in Path("/proc/mounts").read_text().splitlines() if name in line] == []

    succeed(name, "down")
    assert traces(name) == []


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_up_twice_keeps_what_runs(name: str) -> None:
    succeed(name, "up", "--nodes", "1")
    succeed(name, "exec", "1", "--", "sh", "-c", "echo kept > /etc/pve/file")
    process = processes.read_record(Layout(name).process("node1"))
    succeed(name, "up", "--nodes", "1")
    assert processes.read_record(Layout(name).process("node1")) == process
    assert succeed(name, "exec", "1", "--", "cat", "/etc/pve/file") == "kept\n"


def killed_up(name: str, moment: str) -> None:
    """Begin to build a lab and kill the command as soon as a file has appeared."""
    with subprocess.Popen(
        [*PROGRAM, "--lab", name, "up", "--nodes", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:

        def check() -> None:
            assert (Layout(name).run / moment).exists()

        eventually(check, within_s=20, every_s=0.001)
        command.kill()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.lab_has(Capability.NAMESPACES)
def test_down_leaves_nothing_of_an_up_that_was_killed(name: str, moment: str) -> None:
    killed_up(name, moment)
    records = [processes.read_record(path) for _, path in Layout(name).node_processes()]
    assert any(records)
    succeed(name, "down")
    assert traces(name) == []
    assert not any(processes.is_alive(record) for record in records if record is not None)


@pytest.mark.parametrize("moment", ["switch.process", "node2.sock"])
@pytest.mark.lab_has(Capability.NAMESPACES)
def test_up_after_an_up_that_was_killed_builds_anew(name: str, moment: str) -> None:
    killed_up(name, moment)
    succeed(name, "up", "--nodes", "2")
    assert succeed(name, "status").count("synced") == 2


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_a_node_whose_init_was_killed_is_made_again_with_its_data(name: str) -> None:
    succeed(name, "up", "--nodes", "1")
    succeed(name, "exec", "1", "--", "sh", "-c", "echo kept > /etc/pve/file")
    record = processes.read_record(Layout(name).process("node1"))
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    assert "no answer" in succeed(name, "status")

    succeed(name, "up", "--nodes", "1")
    assert succeed(name, "exec", "1", "--", "cat", "/etc/pve/file") == "kept\n"


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_a_lab_without_its_switch_is_made_again_with_its_data(name: str) -> None:
    succeed(name, "up", "--nodes", "2")
    succeed(name, "exec", "2", "--", "sh", "-c", "echo kept > /etc/pve/file")
    record = processes.read_record(Layout(name).process("switch"))
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)

    succeed(name, "up", "--nodes", "2")
    assert succeed(name, "exec", "1", "--", "cat", "/etc/pve/file") == "kept\n"


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_a_node_is_built_without_overlayfs_too(name: str) -> None:
    succeed(name, "up", "--nodes", "1", **{NO_OVERLAY: "1"})
    assert "overlay" not in succeed(name, "exec", "1", "--", "cat", "/proc/mounts")
    assert succeed(name, "exec", "1", "--", "cat", "/etc/hostname") == "node1\n"
    refused = call(name, "exec", "1", "--", "sh", "-c", "echo >> /etc/passwd")
    assert "Read-only file system" in refused.stderr


@pytest.mark.lab_has(Capability.NAMESPACES)
def test_a_node_has_processes_names_and_memory_of_its_own(name: str) -> None:
    succeed(name, "up", "--nodes", "1")
    assert succeed(name, "exec", "1", "--", "hostname") == "node1\n"
    assert succeed(name, "exec", "1", "--", "getent", "hosts", "node1").startswith("10.97.0.1 ")
    assert "pmxcfs_lab.namespaces.init" in succeed(
        name, "exec", "1", "--", "cat", "/proc/1/cmdline"
    )
    succeed(name, "exec", "1", "--", "touch", "/dev/shm/inside", "/etc/inside", "/run/inside")
    for path in ("/dev/shm/inside", "/etc/inside", "/run/inside"):
        assert not Path(path).exists()


@pytest.mark.thorough
@pytest.mark.lab_has(Capability.SWITCH, Capability.WITNESS)
@pytest.mark.parametrize("victims", [(), ("switch",), ("node1", "qnetd")])
def test_down_leaves_nothing_of_a_lab_with_everything(name: str, victims: tuple[str, ...]) -> None:
    everything = ["--crypto", "--links", "2", "--qdevice", "--switch", "--disk"]
    succeed(name, "up", "--nodes", "2", *everything)
    succeed(name, "fault", "link_quality", "delay_ms=5")
    for victim in victims:
        record = processes.read_record(Layout(name).process(victim))
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
    succeed(name, "down")
    assert traces(name) == []


def test_the_exit_status_of_exec_is_the_commands(name: str) -> None:
    succeed(name, "up", "--nodes", "1", "--local")
    assert call(name, "exec", "node1", "--", "sh", "-c", "exit 7").returncode == 7


def test_two_labs_side_by_side_do_not_see_each_other(make_lab: MakeLab) -> None:
    one: Lab = make_lab(2)
    two: Lab = make_lab(2)
    for lab, text in ((one, "one"), (two, "two")):
        write = lab.exec("node1", "sh", "-c", f"echo {text} > /etc/pve/which")
        assert write.exit_status == 0
    assert one.exec("node2", "cat", "/etc/pve/which").stdout == b"one\n"
    assert two.exec("node2", "cat", "/etc/pve/which").stdout == b"two\n"
    two.partition("1")
    one.wait()
    assert len(one.groups()) == 1
    one.trees_are_equal()


@pytest.mark.thorough
@pytest.mark.lab_has(Capability.NINE_NODES)
def test_nine_nodes_come_up(make_lab: MakeLab) -> None:
    lab = make_lab(9)
    lab.trees_are_equal()
