"""The Perl library of a Proxmox node against a real daemon: every call, as root and as www-data.

Needs upstream's client: PVE_PERL_LIB names a directory that has it, see CONTRIBUTING.md.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.options import IPC_NAME
from tests.fuse.daemon import NODE_NAME, Daemon

pytestmark = pytest.mark.needs("perl")

SCRIPT = Path(__file__).with_name("management.pl")
WITHIN_S = 30
REFUSED = "Operation not permitted"

Results = dict[str, tuple[Any, str]]


@pytest.fixture
def node(new_daemon: Callable[[], Daemon]) -> Iterator[Daemon]:
    """Return a daemon under the name that the library knows, with something in its tree."""
    daemon = new_daemon()
    daemon.ipc_name = IPC_NAME
    daemon.rrd_dir.mkdir()
    daemon.start("-l", without_network=True)
    for directory in (f"nodes/{NODE_NAME}/qemu-server", "nodes/x/priv", "priv"):
        (daemon.mountpoint / directory).mkdir(parents=True, exist_ok=True)
    contents = {
        "user.cfg": "user:root@pam\n",
        "empty.cfg": "",
        "nodes/x/priv/key": "secret",
        "priv/token.cfg": "root@pam!t secret\n",
        f"nodes/{NODE_NAME}/qemu-server/100.conf": "name: vm100\nmemory: 512\n",
    }
    for path, content in contents.items():
        (daemon.mountpoint / path).write_text(content)
    yield daemon
    assert daemon.stop() == 0
    assert daemon.complaints == []


def call_everything(daemon: Daemon, user: str, group: str) -> Results:
    """Return result and error of every call that the script makes."""
    become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    perl = ["perl", "-I", os.environ["PVE_PERL_LIB"], "-", NODE_NAME]
    ended = subprocess.run(
        ["nsenter", f"--net=/proc/{daemon.pid}/ns/net", *become, *perl],
        input=SCRIPT.read_text(),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return {name: (result, error) for name, result, error in json.loads(ended.stdout)}


def check_reads(results: Results) -> None:
    """Check what root and www-data see alike."""
    assert results["update"] == (1, "")
    assert results["members"] == (NODE_NAME, "")
    assert results["nodes"] == ([NODE_NAME], "")
    guest = results["guests"][0]["100"]
    assert (guest["node"], guest["type"]) == (NODE_NAME, "qemu")
    assert results["file"] == ("user:root@pam\n", "")
    assert results["empty file"] == ("", "")  # a reply of no bytes is undef with errno 0
    assert results["missing file"] == (None, "")
    assert results["property"] == ({"100": {"name": "vm100"}}, "")
    assert results["properties"] == ({"100": {"name": "vm100", "memory": "512"}}, "")
    assert results["token"] == (1, "")
    assert results["wrong token"] == (0, "")


def test_root_calls_everything(node: Daemon) -> None:
    results = call_everything(node, "root", "root")
    check_reads(results)
    assert "warning" not in results
    assert results["published"] == ({NODE_NAME: '{"a":1}'}, "")
    assert results["unpublished"] == ({}, "")
    assert results["tasks"] == ([{"upid": "x"}], "")
    sample = results["metrics"][0]["pve2.3-vm/100"]
    assert (sample[:3], sample[-1]) == (["1000", "vm", "running"], None)  # U is unknown
    ((entry,), _) = results["logged"]
    assert (entry["user"], entry["tag"]) == ("root@pam", "pvetest")
    assert entry["msg"] == 'say "hi" ä'  # escaped by the client, a JSON escape to the reader
    assert results["private file"] == ("secret", "")


def test_the_group_reads_what_it_may(node: Daemon) -> None:
    results = call_everything(node, "www-data", "www-data")
    check_reads(results)
    assert REFUSED in results["warning"][1]
    assert results["published"] == ({}, "")
    assert results["logged"] == ([], "")
    assert results["private file"] == (None, REFUSED)


def test_others_are_not_let_in(node: Daemon) -> None:
    results = call_everything(node, "nobody", "nogroup")
    assert "Permission denied" in results["update"][1]
