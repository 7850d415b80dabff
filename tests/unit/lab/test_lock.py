"""The lock against two commands on one lab."""

import fcntl
import os
from pathlib import Path

import pytest
from pmxcfs_lab import lock
from pmxcfs_lab.errors import LabError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_S", 0.0)


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lab.lock"
    with lock.lab_lock(path), pytest.raises(LabError, match="Another command"), lock.lab_lock(path):
        pass


def test_the_lock_leaves_nothing_behind_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lab.lock"
    for _ in range(2):
        with lock.lab_lock(path):
            assert path.exists()
        assert not path.parent.exists()


def test_two_labs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with lock.lab_lock(tmp_path / "one.lock"), lock.lab_lock(tmp_path / "two.lock"):
        pass
    assert list(tmp_path.parent.glob(f"{tmp_path.name}/*.lock")) == []


def test_whoever_inherited_the_descriptor_keeps_a_killed_commands_lock(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lab.lock"
    with lock.lab_lock(path) as descriptor:
        inherited = os.dup(descriptor)
        kept = path.with_name("kept")
        path.rename(kept)  # a killed command does not remove the file
    kept.rename(path)
    with pytest.raises(LabError), lock.lab_lock(path):
        pass
    os.close(inherited)
    with lock.lab_lock(path):
        pass


def test_a_file_that_its_last_holder_removed_is_not_locked_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "lab.lock"
    removals = iter([path.unlink])
    flock = fcntl.flock

    def removed_before_we_got_it(descriptor: int, operation: int) -> None:
        next(removals, lambda: None)()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_before_we_got_it)
    with lock.lab_lock(path), pytest.raises(LabError), lock.lab_lock(path):
        pass
