"""What stands at the root beside the tree, and what describes the mount as a whole."""

import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from tests.fuse.calls import listed, refusal
from tests.fuse.daemon import Daemon

STATUS_FILES = {".version", ".members", ".vmlist", ".clusterlog", ".rrd"}
VIRTUAL = {*STATUS_FILES, ".debug", "local", "qemu-server", "lxc", "openvz"}


def test_the_root_lists_the_virtual_objects(mount: Path) -> None:
    assert set(listed(mount)) >= VIRTUAL


def test_links_lead_to_our_node(mount: Path, daemon: Daemon) -> None:
    assert os.readlink(mount / "local") == f"nodes/{daemon.node_name}"  # noqa: PTH115
    (mount / "nodes" / daemon.node_name / "lxc").mkdir(parents=True)
    (mount / "local" / "lxc" / "f").touch()
    assert listed(mount / "lxc") == ["f"]
    assert os.lstat(mount / "lxc").st_size == len(f"nodes/{daemon.node_name}/lxc")


def test_status_files_are_json_and_as_long_as_stat_says(mount: Path) -> None:
    for name in STATUS_FILES:
        text = (mount / name).read_bytes()
        assert name == ".rrd" or isinstance(json.loads(text), dict)
        assert (mount / name).stat().st_size == len(text)
        assert stat.S_IMODE((mount / name).stat().st_mode) == 0o440
        assert (mount / name).stat().st_mtime == 0


def test_the_cluster_log_begins_with_our_start(new_daemon: Callable[[], Daemon]) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    (entry,) = json.loads((daemon.mountpoint / ".clusterlog").read_bytes())["data"]
    assert (entry["msg"], entry["pid"]) == ("starting cluster log", daemon.pid)
    assert (entry["node"], entry["user"], entry["tag"]) == (daemon.node_name, "root", "cluster")
    assert daemon.stop() == 0


def test_a_status_file_is_as_fresh_as_the_last_change(mount: Path) -> None:
    def counter() -> int:
        return int(json.loads((mount / ".version").read_bytes())["storage.cfg"])

    before = counter()
    for turn in range(1, 4):
        os.truncate(mount / "storage.cfg", 0) if turn > 1 else (mount / "storage.cfg").touch()
        assert counter() == before + turn
        (mount / ".version").stat()


def test_a_reader_in_small_steps_sees_one_text_while_it_changes(mount: Path) -> None:
    descriptor = os.open(mount / ".version", os.O_RDONLY)
    parts = []
    while part := os.read(descriptor, 100):
        parts.append(part)
        (mount / "user.cfg").write_bytes(b"x" * len(parts))
    os.close(descriptor)
    assert len(parts) > 3
    assert json.loads(b"".join(parts))["user.cfg"] >= 1


def test_many_readers_never_see_a_mixed_text(mount: Path) -> None:
    failures: list[BaseException] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            while not is_over.is_set():
                json.loads((mount / ".version").read_bytes())
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        (mount / "datacenter.cfg").write_bytes(b"y" * turn)
    is_over.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_status_files_take_no_changes(mount: Path) -> None:
    for name in STATUS_FILES:
        path = mount / name
        assert refusal(path.write_bytes, b"x") == errno.EIO
        assert refusal(os.truncate, path, 0) == errno.EIO
        assert refusal(path.unlink) == errno.EACCES
        assert refusal(os.utime, path) == errno.EACCES
        assert refusal(os.rename, path, mount / "x") == errno.EACCES
    descriptor = os.open(mount / ".version", os.O_WRONLY)
    assert refusal(os.write, descriptor, b"x") == errno.EIO
    os.close(descriptor)


def test_links_are_not_removed_moved_or_replaced(mount: Path) -> None:
    assert refusal(os.unlink, mount / "local") == errno.EACCES
    assert refusal(os.rename, mount / "local", mount / "x") == errno.EACCES
    (mount / "plain").touch()
    assert refusal(os.rename, mount / "plain", mount / "local") == errno.EACCES
    assert refusal(os.mkdir, mount / "local") == errno.EEXIST


def test_debug_is_switched_by_writing(mount: Path) -> None:
    switch = mount / ".debug"
    assert switch.read_bytes() == b"0\n"
    switch.write_bytes(b"1\n")
    assert switch.read_bytes() == b"1\n"
    switch.write_bytes(b"0\n")
    assert switch.read_bytes() == b"0\n"
    assert refusal(switch.write_bytes, b"2\n") == errno.EIO
    assert stat.S_IMODE(switch.stat().st_mode) == 0o640


def test_statvfs_shows_the_limits_and_what_is_left(mount: Path) -> None:
    before = os.statvfs(mount)
    assert (before.f_bsize, before.f_frsize, before.f_blocks) == (4096, 4096, 32768)
    assert (before.f_files, before.f_namemax) == (262144, 256)
    (mount / "big").write_bytes(bytes(10 * 4096))
    after = os.statvfs(mount)
    assert before.f_bfree - after.f_bfree == before.f_bavail - after.f_bavail == 10
    assert before.f_ffree - after.f_ffree == before.f_favail - after.f_favail == 1
    (mount / "big").unlink()


def test_the_mount_looks_like_the_references(daemon: Daemon) -> None:
    (line,) = [
        line
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[1] == str(daemon.mountpoint)
    ]
    assert line == (
        f"/dev/fuse {daemon.mountpoint} fuse "
        "rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0"
    )


def test_the_status_socket_counts_what_the_mount_changes(daemon: Daemon, place: Path) -> None:
    before = daemon.status()
    (place / "f").write_bytes(b"x")
    after = daemon.status()
    assert after["tree_version"] == before["tree_version"] + 2
    assert after["tree_entries"] == before["tree_entries"] + 1
    assert after["quorate"] is True
