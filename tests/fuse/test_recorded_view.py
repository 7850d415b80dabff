"""A database of the reference, mounted, looks as it did through the reference."""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fuse.daemon import Daemon

VECTORS = Path(__file__).parents[1] / "golden" / "vectors"
VIEW = VECTORS / "views" / "08-node1.json"
DATABASE = VECTORS / "db" / "08-after-ops-running-with-wal.tar.xz"

FIELDS = ("mode", "uid", "gid", "size", "nlink", "blocks", "blksize", "mtime", "atime", "ctime")
COMPARED = {*FIELDS, "target", "sha256"}
STATUS_FILES = {".version", ".members", ".vmlist", ".clusterlog", ".rrd", ".debug"}


@pytest.fixture
def mount(new_daemon: Callable[[], Daemon]) -> Path:
    daemon = new_daemon()
    daemon.node_name = "node1"
    daemon.state_dir.mkdir()
    with tarfile.open(DATABASE) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(daemon.state_dir)
    for found in daemon.state_dir.rglob("config.db*"):
        found.rename(daemon.state_dir / found.name)
    daemon.start("-l")
    return daemon.mountpoint


def _view(mount: Path, recorded: dict[str, Any]) -> dict[str, Any]:
    full = mount / recorded["path"]
    found = os.lstat(full)
    view: dict[str, Any] = {field: getattr(found, f"st_{field}") for field in FIELDS}
    view["mode"] = oct(found.st_mode)
    if "target" in recorded:
        view["target"] = os.readlink(full)  # noqa: PTH115
    if "sha256" in recorded:
        view["sha256"] = hashlib.sha256(full.read_bytes()).hexdigest()
    return view


def test_every_file_looks_as_it_did_through_the_reference(mount: Path) -> None:
    recorded = {item["path"]: item for item in json.loads(VIEW.read_text())["files"]}
    for path in STATUS_FILES & recorded.keys():
        del recorded[path]["size"]
    for path, item in recorded.items():
        expected = {key: value for key, value in item.items() if key in COMPARED}
        found = _view(mount, item)
        assert {key: found[key] for key in expected} == expected, path
    assert _names(mount) == recorded.keys()


def test_statvfs_is_as_it_was_through_the_reference(mount: Path) -> None:
    recorded = json.loads(VIEW.read_text())["statvfs"]
    found = os.statvfs(mount)
    assert {name: getattr(found, name) for name in recorded if name != "f_fsid"} == {
        name: value for name, value in recorded.items() if name != "f_fsid"
    }


def _names(mount: Path) -> set[str]:
    return {
        str((Path(directory) / name).relative_to(mount))
        for directory, directories, files in os.walk(mount)
        for name in (*directories, *files)
    }
