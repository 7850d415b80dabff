"""What docs/UPGRADE.md tells operators to do, done while the cluster is in use."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from pmxcfs_lab.seed import wait_until_mounted

from .conftest import MakeLab
from .recipes import Cook, recipes_in
from .services import end
from .where import PYTHON
from .writers import writing

BEFORE, FORWARD, BACK = recipes_in("UPGRADE.md")

TOP = "/etc/pve/upgrade"
LOCK = "/etc/pve/priv/lock/upgrade"
OURS = Path(PYTHON).with_name("pmxcfs")
WHICH = "/etc/which-pmxcfs"
"""A file of each node that names the program that its service runs."""

ENDS_WITHIN_S = 20.0

PROGRAM = """\
#!/bin/sh
exec "$(cat {which} 2>/dev/null || echo {before})" "$@"
"""

HOLDER = """
import os, sys, time, threading
lock, is_holder = sys.argv[1], sys.argv[2] == "hold"
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
taken = refreshed = 0
while not stop.wait(0.2):
    try:
        if is_holder:
            os.utime(lock)
            refreshed += 1
        else:
            os.mkdir(lock)
            taken += 1
    except OSError:
        pass
print(taken if not is_holder else refreshed)
"""
"""Refreshes a lock, or tries to take it, until standard input ends; then says how often it did."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The program that nodes run before, and after the package was installed."""

    before: str
    after: str

    def put_on(self, lab: Lab, node: str, *, is_after: bool) -> None:
        """Do what installing or removing the package does: another program, and a restart."""
        end(lab, node, [Service.PMXCFS])
        self.choose(lab, node, is_after=is_after)
        lab._provider.start(node, Service.PMXCFS)
        wait_until_mounted(lab._provider, node)

    def choose(self, lab: Lab, node: str, *, is_after: bool) -> None:
        """Say which program the node's service runs from its next start on."""
        program = self.after if is_after else self.before
        assert lab.exec(node, "sh", "-c", f"echo {program} >{WHICH}").exit_status == 0


@pytest.fixture(
    params=[
        pytest.param("reference", marks=pytest.mark.needs("reference")),
        pytest.param("another copy of ours", marks=pytest.mark.thorough),
    ]
)
def versions(request: pytest.FixtureRequest, tmp_path: Path) -> Versions:
    if request.param == "reference":
        return Versions(os.environ["PMXCFS_REFERENCE"], str(OURS))
    copy = tmp_path / "older-pmxcfs"
    copy.write_text(f'#!/bin/sh\nexec {OURS} "$@"\n')
    copy.chmod(0o755)
    return Versions(str(copy), str(OURS))


@pytest.mark.lab_has("host_files")
def test_a_cluster_in_use_is_upgraded_and_rolled_back_node_by_node(
    make_lab: MakeLab, versions: Versions, tmp_path: Path
) -> None:
    lab = a_cluster_of(make_lab, versions, tmp_path)
    cook = Cook(lab, lambda node, is_after: versions.put_on(lab, node, is_after=is_after))
    cook.carry_out(BEFORE)
    lab.exec("node2", "mkdir", "-p", LOCK)
    with (
        writing(lab, lab.plan.names, TOP, tmp_path) as writers,
        at_the_lock(lab, "node2", "hold") as holder,
        at_the_lock(lab, "node3", "take") as contender,
    ):
        for recipe in (FORWARD, BACK):
            cook.carry_out(recipe)
            for writer in writers.values():
                writer.wait_for_more()
        written = {
            path: text for writer in writers.values() for path, text in writer.finish().items()
        }
        assert count_of(contender) == 0, "somebody else got the lock"
        assert count_of(holder) > 0
    lab.wait()
    lab.trees_are_equal()
    assert len(written) > 20
    assert missing_on(lab, written) == []
    assert not quorum_losses(lab)


def a_cluster_of(make_lab: MakeLab, versions: Versions, folder: Path) -> Lab:
    """Three nodes that run the older program."""
    program = folder / "pmxcfs"
    program.write_text(PROGRAM.format(which=WHICH, before=versions.before))
    program.chmod(0o755)
    return make_lab(3, binaries=dict.fromkeys(("node1", "node2", "node3"), str(program)))


@contextmanager
def at_the_lock(lab: Lab, node: str, what: str) -> Iterator[subprocess.Popen[str]]:
    """Have a program refresh the lock, or try to take it, as long as the block lasts."""
    argv = lab.attach_argv(node, [PYTHON, "-c", HOLDER, LOCK, what])
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.communicate(timeout=ENDS_WITHIN_S)


def count_of(process: subprocess.Popen[str]) -> int:
    """Stop a program at the lock; return how often it did what it does."""
    output, _ = process.communicate(timeout=ENDS_WITHIN_S)
    return int(output)


def missing_on(lab: Lab, written: dict[str, bytes]) -> list[str]:
    """Return what was acknowledged and is not, or not so, on the first node."""
    return [path for path, text in written.items() if lab.exec("node1", "cat", path).stdout != text]


def quorum_losses(lab: Lab) -> list[str]:
    """Return the nodes whose daemon lost quorum."""
    logs = {name: lab.logs(name)["pmxcfs"].read_text() for name in lab.plan.names}
    return [name for name, log in logs.items() if "lost quorum" in log]
