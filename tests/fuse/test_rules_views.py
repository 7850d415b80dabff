"""Rules of virtual objects, guests, locks and counters, as a client of the mount meets them."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fuse.calls import put, refusal
from tests.fuse.daemon import Daemon

READ_ONLY = (".version", ".members", ".vmlist", ".clusterlog", ".rrd")
LINKS = {"local": "", "qemu-server": "/qemu-server", "lxc": "/lxc", "openvz": "/openvz"}


def counter(mount: Path, path: str) -> int:
    return int(json.loads((mount / ".version").read_bytes())[path])


def guests(mount: Path) -> dict[str, tuple[str, str]]:
    shown = json.loads((mount / ".vmlist").read_bytes()).get("ids", {})
    return {vmid: (guest["node"], guest["type"]) for vmid, guest in shown.items()}


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_status_file_is_read_only_for_everybody(mount: Path, name: str) -> None:
    found = (mount / name).stat()
    assert found.st_mode == stat.S_IFREG | 0o440
    assert (found.st_nlink, found.st_blocks) == (1, 0)
    assert found.st_mtime == found.st_atime == found.st_ctime == 0
    assert refusal(put, mount / name, b"x", 0) == errno.EIO
    assert refusal(os.truncate, mount / name, 0) == errno.EIO


@pytest.mark.parametrize("name", [*READ_ONLY, ".debug", *LINKS])
def test_a_virtual_object_keeps_its_place_and_time(mount: Path, place: Path, name: str) -> None:
    path = mount / name
    (place / "f").touch()
    assert refusal(os.unlink, path) == errno.EACCES
    assert refusal(os.rename, path, place / "x") == errno.EACCES
    assert refusal(os.rename, place / "f", path) == errno.EACCES
    set_time = partial(os.utime, path, (1, 1), follow_symlinks=False)
    assert refusal(set_time) == errno.EACCES
    assert refusal(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) == errno.EEXIST
    assert (place / "f").exists()


@pytest.mark.parametrize(("name", "below"), LINKS.items())
def test_a_link_has_its_target_and_the_length_of_it(daemon: Daemon, name: str, below: str) -> None:
    target = f"nodes/{daemon.node_name}{below}"
    found = os.lstat(daemon.mountpoint / name)
    assert os.readlink(daemon.mountpoint / name) == target  # noqa: PTH115
    assert (found.st_mode, found.st_size) == (stat.S_IFLNK | 0o755, len(target))
    assert (found.st_mtime, found.st_blocks, found.st_nlink) == (0, 0, 1)


def test_debug_takes_two_bytes_at_the_beginning_and_ignores_truncation(mount: Path) -> None:
    switch = mount / ".debug"
    assert put(switch, b"1\nmore", 0) == 2
    os.truncate(switch, 0)
    assert switch.read_bytes() == b"1\n"
    for text, offset in ((b"0", 0), (b"0 ", 0), (b"2\n", 0), (b"0\n", 1), (b"00\n", 0)):
        assert refusal(put, switch, text, offset) == errno.EIO
    assert switch.read_bytes() == b"1\n"
    assert put(switch, b"0\n", 0) == 2
    assert switch.read_bytes() == b"0\n"


def test_every_kind_of_guest_is_listed_by_its_path_alone(mount: Path) -> None:
    for kind in ("qemu-server", "lxc", "openvz", "other"):
        (mount / "nodes/kinds" / kind).mkdir(parents=True)
    for path in (
        *("qemu-server/501.conf", "lxc/502.conf", "openvz/503.conf", "lxc/4294967295.conf"),
        *("other/504.conf", "lxc/0505.conf", "lxc/506.conf.tmp.1", "lxc/4294967296.conf"),
    ):
        (mount / "nodes/kinds" / path).touch()
    assert refusal(os.mkdir, mount / "nodes/kinds/lxc/507.conf") == errno.EINVAL
    assert {vmid: found for vmid, found in guests(mount).items() if found[0] == "kinds"} == {
        "501": ("kinds", "qemu"),
        "502": ("kinds", "lxc"),
        "503": ("kinds", "openvz"),
        "4294967295": ("kinds", "lxc"),
    }


def test_a_guest_changes_its_kind_or_its_id_by_a_rename_and_leaves_the_list_by_one(
    mount: Path,
) -> None:
    for kind in ("qemu-server", "lxc"):
        (mount / "nodes/moves" / kind).mkdir(parents=True)
    first, second = mount / "nodes/moves/qemu-server/601.conf", mount / "nodes/moves/lxc/601.conf"
    first.touch()
    assert refusal(second.touch) == errno.EEXIST
    (mount / "nodes/moves/other").touch()
    assert refusal(os.rename, mount / "nodes/moves/other", second) == errno.EEXIST
    first.rename(second)
    assert guests(mount)["601"] == ("moves", "lxc")
    second.rename(second.with_name("602.conf"))
    assert "601" not in guests(mount)
    assert guests(mount)["602"] == ("moves", "lxc")
    second.with_name("602.conf").rename(mount / "nodes/moves/away")
    assert "602" not in guests(mount)


def test_the_list_of_guests_moves_with_every_registration_and_removal(mount: Path) -> None:
    def version() -> int:
        return int(json.loads((mount / ".vmlist").read_bytes())["version"])

    directory = mount / "nodes/counts/lxc"
    directory.mkdir(parents=True)
    guest = directory / "701.conf"
    before = version()
    os.mknod(guest)
    assert version() == before + 1
    put(guest, b"x", 0)
    assert version() == before + 2
    os.utime(guest)
    assert version() == before + 2
    guest.rename(directory / "702.conf")
    assert version() == before + 4
    (directory / "702.conf").unlink()
    assert version() == before + 5
    assert json.loads((mount / ".version").read_bytes())["vmlist"] == before + 5


def test_a_counter_moves_by_one_with_every_change_of_its_path(mount: Path) -> None:
    file, before = mount / "vzdump.cron", counter(mount, "vzdump.cron")
    other = counter(mount, "jobs.cfg")
    changes: list[Callable[[], object]] = [
        partial(os.mknod, file),
        partial(put, file, b"x", 0),
        partial(os.truncate, file, 0),
        partial(os.utime, file, (1, 1)),
        partial(os.rename, file, mount / "jobs.cfg"),
        partial(os.rename, mount / "jobs.cfg", file),
        partial(os.unlink, file),
    ]
    for turn, change in enumerate(changes, start=1):
        change()
        assert counter(mount, "vzdump.cron") == before + turn, change
    assert counter(mount, "jobs.cfg") == other + 2
    file.mkdir()
    assert counter(mount, "vzdump.cron") == before + 7
    file.rmdir()
    assert counter(mount, "vzdump.cron") == before + 8
    assert refusal(file.unlink) == errno.ENOENT
    assert counter(mount, "vzdump.cron") == before + 8


@pytest.fixture
def locks(mount: Path) -> Iterator[Path]:
    """Return ``priv/lock``."""
    directory = mount / "priv/lock"
    directory.mkdir(parents=True, exist_ok=True)
    yield directory
    for found in directory.iterdir():
        found.rmdir() if found.is_dir() else found.unlink()


def test_a_lock_is_taken_once_refreshed_and_given_back(locks: Path) -> None:
    lock = locks / "file-user_cfg"
    lock.mkdir()
    assert refusal(lock.mkdir) == errno.EEXIST
    taken = lock.stat().st_mtime
    os.utime(lock, (taken, taken))
    os.utime(lock, (taken + 5, taken + 5))
    assert refusal(os.utime, lock, (taken + 4, taken + 4)) == errno.EACCES
    assert lock.stat().st_mtime == taken + 5
    lock.rmdir()
    lock.mkdir()


def test_a_lock_that_has_not_expired_is_not_released(locks: Path) -> None:
    lock = locks / "held"
    lock.mkdir()
    for _ in range(2):
        assert refusal(os.utime, lock, (0, 0)) == errno.EACCES
    assert lock.stat().st_mtime > 0


def test_neither_a_file_nor_a_deeper_directory_is_a_lock(locks: Path) -> None:
    (locks / "file").touch()
    (locks / "d").mkdir()
    (locks / "d" / "deep").mkdir()
    for path in (locks / "file", locks / "d" / "deep"):
        os.utime(path, (0, 0))
        assert path.stat().st_mtime == 0
    (locks / "file").rename(locks / "moved")
    assert refusal(os.rename, locks / "d" / "deep", locks / "up") == errno.EACCES
    (locks / "d" / "deep").rmdir()


def test_a_directory_may_be_moved_among_the_locks_and_stays_there(locks: Path, place: Path) -> None:
    (place / "d").mkdir()
    (place / "d").rename(locks / "taken")
    (place / "d").mkdir()
    (place / "d").rename(locks / "taken")
    assert refusal(os.rename, locks / "taken", place / "d") == errno.EACCES
