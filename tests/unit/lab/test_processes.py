"""Recorded processes: found again, and never mistaken for others."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pmxcfs_lab import processes
from pmxcfs_lab.eventually import eventually


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def record_of(pid: int) -> processes.ProcessRecord:
    own = processes.own_record()
    stat = Path(f"/proc/{pid}/stat").read_text()
    return processes.ProcessRecord(pid, int(stat.rpartition(")")[2].split()[19]), own.boot_id)


def test_we_are_alive_ourselves() -> None:
    assert processes.own_record().pid == os.getpid()
    assert processes.is_alive(processes.own_record())


def test_a_spawned_process_has_recorded_itself_and_let_go_of_the_lock(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as guard:
        record = processes.spawn(
            ["sleep", "60"],
            tmp_path / "it.process",
            guard_fd=guard.fileno(),
            log=tmp_path / "log",
        )
    assert processes.read_record(tmp_path / "it.process") == record
    eventually(lambda: _assert_runs(record.pid, "sleep"), within_s=5)
    assert Path(f"/proc/{record.pid}/fd/0").readlink() == Path("/dev/null")
    assert processes.kill_and_wait(record, with_child=False)
    assert not processes.is_alive(record)


def _assert_runs(pid: int, program: str) -> None:
    assert Path(f"/proc/{pid}/comm").read_text().strip() == program


@pytest.mark.parametrize("changed", [{"started_ticks": 1}, {"boot_id": "another"}])
def test_a_stranger_with_the_same_number_is_not_killed(
    child: subprocess.Popen[bytes], changed: dict[str, object]
) -> None:
    ours = record_of(child.pid)
    stale = replace(ours, **changed)  # type: ignore[arg-type]
    assert not processes.kill_and_wait(stale, with_child=False)
    assert child.poll() is None
    assert processes.is_alive(ours)


def test_a_zombie_is_dead(child: subprocess.Popen[bytes]) -> None:
    record = record_of(child.pid)
    os.kill(child.pid, 9)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_alive(record)


def test_killing_what_has_ended_says_so(child: subprocess.Popen[bytes]) -> None:
    record = record_of(child.pid)
    child.kill()
    child.wait()
    assert not processes.kill_and_wait(record, with_child=False)


@pytest.mark.parametrize("text", ["", "1 (a) S", "junk\nboot\n", "1 (x) S 1\nboot\n"])
def test_half_a_record_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "it.process"
    path.write_text(text)
    assert processes.read_record(path) is None


def test_a_name_with_brackets_and_spaces_is_read_right(tmp_path: Path) -> None:
    fields = " ".join(["S", *map(str, range(1, 50))])
    path = tmp_path / "it.process"
    path.write_text(f"42 (a) b) ({fields}) {fields}\nboot\n")
    record = processes.read_record(path)
    assert record == processes.ProcessRecord(42, 19, "boot")


def test_the_child_is_killed_with_its_parent(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as guard:
        record = processes.spawn(
            ["sh", "-c", "sleep 60; true"],
            tmp_path / "it.process",
            guard_fd=guard.fileno(),
            log=tmp_path / "log",
        )
    child = eventually(lambda: _sleeping_child(record), within_s=5)
    processes.kill_and_wait(record, with_child=True)
    assert not processes.is_alive(child)


def _sleeping_child(record: processes.ProcessRecord) -> processes.ProcessRecord:
    """Return the child; what stands there before it, for a moment, is another."""
    pid = processes.only_child(record)
    try:
        assert pid is not None
        assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
        return record_of(pid)
    except FileNotFoundError:
        raise AssertionError(f"process {pid} has ended") from None
