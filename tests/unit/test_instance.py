"""One daemon at a time: the lock file, the PID file and the directories."""

import os
import stat
from errno import ENOSPC
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


@pytest.mark.parametrize(
    ("remembered", "started_s"),
    [
        ("", 1000),
        ("no number", 1000),
        ("990", 1000),
        ("999", 1000),
        ("1000", 1001),
        ("1001", 1002),
        ("1059", 1060),
        ("1060", 1000),  # the clock was set back
    ],
)
def test_no_two_starts_have_the_same_time(tmp_path: Path, remembered: str, started_s: int) -> None:
    lock_file = tmp_path / "lock"
    lock_file.write_text(remembered)
    assert instance.start_time(lock_file, 1000) == started_s
    assert lock_file.read_text() == f"{started_s}"


def test_a_start_whose_time_cannot_be_remembered_is_one_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = tmp_path / "lock"
    lock_file.touch()

    def refuse(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert instance.start_time(lock_file, 1000) == 1000


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


@pytest.mark.needs("root")
@pytest.mark.parametrize("which", ["state_dir", "run_dir"])
@pytest.mark.parametrize(("owner", "mode"), [(33, 0o750), (0, 0o770), (0, 0o1777)])
def test_a_directory_that_others_can_write_to_is_refused(
    tmp_path: Path, which: str, owner: int, mode: int
) -> None:
    directory = tmp_path / which
    directory.mkdir()
    directory.chmod(mode)
    os.chown(directory, owner, 33)
    options = Options("node1", state_dir=tmp_path / "state_dir", run_dir=tmp_path / "run_dir")
    with pytest.raises(StartError, match=rf"others than root can write to .*{which}: chown root"):
        instance.prepare_directories(options, 33)
    assert directory.stat().st_uid == owner


@pytest.mark.needs("root")
def test_the_restart_flag_replaces_a_link_and_follows_none(tmp_path: Path) -> None:
    victim, flag = tmp_path / "victim", tmp_path / "flag"
    victim.touch(mode=0o600)
    with instance.restart_flag(flag, 33):
        flag.symlink_to(victim)
    assert (victim.stat().st_gid, flag.is_symlink()) == (0, False)
    found = flag.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o440, 0, 33)


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="lock"), instance.only_one(tmp_path / "lock"):
        pytest.fail("it was followed")
    assert not (tmp_path / "elsewhere").exists()
