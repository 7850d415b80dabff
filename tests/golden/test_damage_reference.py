"""The reference opens what the tools write, in a lab of one node."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pmxcfs.tools import copies
from pmxcfs.tools.building import build
from pmxcfs.tools.checking import examine
from pmxcfs.tools.importing import read_directory
from pmxcfs.tools.repairing import perform_repair, plan_repair
from tests.golden.damage import DAMAGES, make_sound

pytestmark = pytest.mark.needs("root", "fuse", "reference")

CHOSEN = ("a bit flipped", "first page destroyed", "no version row", "VM id twice")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PAUSE_S", 0.0001)


@pytest.fixture
def on_the_reference() -> Iterator[Callable[[Path, str], str]]:
    """Yield what starts the reference on a database and runs a shell command beside it."""
    lab = [sys.executable, "-m", "pmxcfs_lab", "--lab", f"db{secrets.token_hex(3)}"]
    binary = f"1={os.environ['PMXCFS_REFERENCE']}"

    def run(database: Path, command: str) -> str:
        arguments = ["--nodes", "1", "--local", "--binary", binary, "--database", str(database)]
        call(*lab, "up", *arguments)
        return call(*lab, "exec", "1", "--", "sh", "-c", command)

    yield run
    call(*lab, "down")


def call(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", CHOSEN)
def test_the_reference_opens_a_repaired_database(
    tmp_path: Path, name: str, on_the_reference: Callable[[Path, str], str]
) -> None:
    (damage,) = (damage for damage in DAMAGES if damage.name == name)
    make_sound(tmp_path / "config.db")
    damage.inflict(tmp_path / "config.db")
    repair = plan_repair(examine(tmp_path / "config.db"))
    perform_repair(repair, tmp_path / "new.db")
    guests = sum(1 for entry in repair.tree.entries() if entry.name in (b"100.conf", b"101.conf"))
    shown = on_the_reference(
        tmp_path / "new.db", "cat /etc/pve/storage.cfg /etc/pve/.vmlist; echo x > /etc/pve/new"
    )
    assert shown.startswith("dir: local\n")
    assert shown.count('"type"') == guests


def test_the_reference_opens_an_imported_database(
    tmp_path: Path, on_the_reference: Callable[[Path, str], str]
) -> None:
    source = tmp_path / "source"
    (source / "nodes" / "n1" / "lxc").mkdir(parents=True)
    (source / "nodes/n1/lxc/104.conf").write_text("memory: 1\n")
    build(read_directory(source, 1_700_000_000).tree, tmp_path / "new.db")
    shown = on_the_reference(
        tmp_path / "new.db", "cat /etc/pve/nodes/n1/lxc/104.conf /etc/pve/.vmlist"
    )
    assert shown.startswith("memory: 1\n")
    assert '"104": { "node": "n1", "type": "lxc"' in shown
