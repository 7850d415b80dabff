"""Clusters that start from databases which the reference has written."""

import grp
import json
from pathlib import Path
from typing import Any

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.testinfra_backend import connect

from . import recorded
from .conftest import MakeLab
from .where import PYTHON

Entry = dict[str, Any]

CLUSTERED = "corosync.conf"
"""What a recorded database must be given before a cluster can start from it."""

SEEDING_STEPS = 3
"""Versions that takes: create and write corosync.conf.new, rename it."""

STAT_ALL = """
import hashlib, json, os, stat, sys
os.chdir("/etc/pve")
seen = []
for folder, folders, files in os.walk("."):
    for name in folders + files:
        path = os.path.relpath(os.path.join(folder, name))
        st = os.lstat(path)
        entry = {key: getattr(st, "st_" + key) for key in
            ("uid", "gid", "size", "nlink", "mtime", "atime", "ctime", "blocks", "blksize")}
        entry["path"], entry["mode"] = path, oct(st.st_mode)
        if stat.S_ISLNK(st.st_mode):
            entry["target"] = os.readlink(path)
        elif stat.S_ISREG(st.st_mode) and not path.startswith("."):
            entry["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        seen.append(entry)
root, volume = os.stat("."), os.statvfs(".")
print(json.dumps({"files": seen, "root": {"mode": oct(root.st_mode), "gid": root.st_gid},
    "statvfs": {key: getattr(volume, key) for key in
        ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree",
         "f_favail", "f_namemax")}}))
"""
"""Prints what a recorded view holds, except inode numbers, which are the mount's own affair."""

TEXT_OF_THE_MOMENT = (".version", ".members", ".vmlist", ".rrd", ".clusterlog")


def www_data() -> int:
    return grp.getgrnam("www-data").gr_gid


@pytest.fixture(scope="module")
def dozens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lived-in configuration tree: 41 guests, nested folders, a 1 MiB file, odd names."""
    return recorded.unpack("L2-dozens", tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def lab_of_dozens(dozens: Path, make_lab: MakeLab) -> Lab:
    return make_lab(3, {"node1": dozens / "config.db"})


def test_every_recorded_entry_is_on_every_node_and_nothing_else(
    dozens: Path, lab_of_dozens: Lab
) -> None:
    rows = recorded.read_rows(dozens / "rows.txt")
    expected = recorded.expected_entries(rows, www_data())
    assert len(expected) == len(rows) - 1 == 62

    for name, tree in lab_of_dozens.trees().items():
        seen = dict(tree)
        assert seen.pop(CLUSTERED)["mode"] == "0o100640"
        assert seen == expected, name
    lab_of_dozens.trees_are_equal()


def test_seeding_changes_nothing_but_corosync_conf(dozens: Path, lab_of_dozens: Lab) -> None:
    (root,) = (row for row in recorded.read_rows(dozens / "rows.txt") if row.inode == 0)
    for status in lab_of_dozens.statuses():
        assert status.tree_version == root.version + SEEDING_STEPS, status.name
    lab_of_dozens.trees_are_equal()


def test_all_recorded_guests_are_listed_on_every_node(lab_of_dozens: Lab) -> None:
    for name in lab_of_dozens.plan.names:
        text = lab_of_dozens.exec(name, "cat", "/etc/pve/.vmlist").stdout
        guests = json.loads(text)["ids"]
        assert sorted(map(int, guests)) == list(range(100, 141))
        assert {(guest["node"], guest["type"]) for guest in guests.values()} == {("node1", "qemu")}
    lab_of_dozens.trees_are_equal()


@pytest.fixture(scope="module")
def lab_of_view(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The cluster that the view 08-node1 was recorded on, from its database and WAL."""
    folder = recorded.unpack(
        "08-after-ops-running-with-wal", tmp_path_factory.mktemp("recorded-view")
    )
    return make_lab(3, {"node1": folder / "config.db"})


def seen_on(lab: Lab, node: str) -> dict[str, Any]:
    completed = lab.exec(node, PYTHON, "-c", STAT_ALL)
    assert completed.exit_status == 0, completed.stderr.decode()
    seen: dict[str, Any] = json.loads(completed.stdout)
    return seen


def by_path(files: list[Entry], gid: int) -> dict[str, Entry]:
    """Return the entries without what cannot repeat: live texts, our corosync.conf, inodes."""
    entries = {}
    for file in files:
        entry = {key: value for key, value in file.items() if key not in ("path", "ino")}
        entry["gid"] = gid if entry["gid"] == recorded_gid() else entry["gid"]
        if file["path"] in (*TEXT_OF_THE_MOMENT, CLUSTERED):
            for key in ("size", "mtime", "atime", "ctime", "blocks", "sha256"):
                entry.pop(key, None)
        if file["path"].startswith("."):
            entry.pop("sha256", None)
        entries[file["path"]] = entry
    return entries


def recorded_gid() -> int:
    gid: int = view()["root"]["gid"]
    return gid


def view() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((recorded.VECTORS / "views" / "08-node1.json").read_text())
    return loaded


def test_the_mount_shows_what_the_reference_showed(lab_of_view: Lab) -> None:
    expected = by_path(view()["files"], www_data())
    seen = by_path(seen_on(lab_of_view, "node1")["files"], www_data())
    assert seen.keys() == expected.keys()
    wrong = {path: (seen[path], expected[path]) for path in seen if seen[path] != expected[path]}
    assert not wrong
    lab_of_view.trees_are_equal()


def test_the_volume_has_the_size_that_the_reference_showed(lab_of_view: Lab) -> None:
    seen = seen_on(lab_of_view, "node1")
    recorded_view = view()
    assert seen["root"] == {"mode": recorded_view["root"]["mode"], "gid": www_data()}
    assert seen["statvfs"] == {key: recorded_view["statvfs"][key] for key in seen["statvfs"]}
    lab_of_view.trees_are_equal()


def test_other_nodes_differ_from_node_1_in_their_own_links_only(lab_of_view: Lab) -> None:
    first = by_path(seen_on(lab_of_view, "node1")["files"], www_data())
    for name in ("node2", "node3"):
        other = by_path(seen_on(lab_of_view, name)["files"], www_data())
        assert other.keys() == first.keys()
        differing = {path for path in first if other[path] != first[path]}
        assert differing == {"local", "qemu-server", "lxc", "openvz"}
        assert other["local"]["target"] == f"nodes/{name}"
    lab_of_view.trees_are_equal()


def test_a_recorded_tree_can_be_written_on_every_node(lab_of_view: Lab) -> None:
    for name in lab_of_view.plan.names:
        host_write = ["sh", "-c", f"echo {name} > /etc/pve/written-on-{name}"]
        assert lab_of_view.exec(name, *host_write).exit_status == 0
    lab_of_view.trees_are_equal()


def test_testinfra_sees_owner_and_mode_of_a_recorded_file(lab_of_view: Lab) -> None:
    storage = connect(lab_of_view, "node2").file("/etc/pve/storage.cfg")
    assert (storage.content_string, storage.mode) == ("new\n", 0o640)
    assert (storage.user, storage.group) == ("root", "www-data")
    lab_of_view.trees_are_equal()
