"""One daemon at a time: the lock file, the PID file and the directories."""

import os
import stat
from pathlib import Path

import pytest

from pmxcfs import instance
from pmxcfs.instance import StartError
from pmxcfs.options import Options


def test_a_second_daemon_gives_up_and_says_what_to_do(tmp_path: Path) -> None:
    lock_file = tmp_path / "lock"
    with (
        instance.only_one(lock_file),
        pytest.raises(StartError, match=r"another pmxcfs is running.*stop it first"),
        instance.only_one(lock_file, pause_s=0),
    ):
        pytest.fail("both hold the lock")


def test_the_lock_is_free_again_afterwards_and_the_file_stays(tmp_path: Path) -> None:
    lock_file = tmp_path / "lock"
    for _ in range(2):
        with instance.only_one(lock_file, pause_s=0):
            pass
    assert stat.S_IMODE(lock_file.stat().st_mode) == 0o600


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StartError, match="missing/lock"),
        instance.only_one(tmp_path / "missing" / "lock"),
    ):
        pytest.fail("there is nothing to lock")


def test_the_pid_file_is_there_while_we_run(tmp_path: Path) -> None:
    path = tmp_path / "pmxcfs.pid"
    with instance.pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert list(tmp_path.iterdir()) == [path]
    assert not path.exists()


@pytest.mark.needs("root")
def test_directories_are_made_and_the_run_directory_is_the_groups(tmp_path: Path) -> None:
    options = Options("node1", state_dir=tmp_path / "a" / "state", run_dir=tmp_path / "run")
    gid = instance.group_id()
    instance.prepare_directories(options, gid)
    assert options.state_dir.is_dir()
    assert options.run_dir.stat().st_gid == gid


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options = Options("node1", state_dir=tmp_path / "file" / "state", run_dir=tmp_path)
    with pytest.raises(StartError, match="file/state"):
        instance.prepare_directories(options, os.getgid())
