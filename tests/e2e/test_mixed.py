"""A cluster in which the reference daemon runs on node 2, and ours on the others.

Needs the reference's executable: PMXCFS_REFERENCE=/path/to/its/pmxcfs. Its mount may show a state
that is a second old (the kernel keeps attributes that long), so whoever reads there waits.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from testinfra.host import Host

from tests.golden import archives

from .conftest import MakeLab
from .services import end
from .where import PYTHON

pytestmark = pytest.mark.needs("reference")

Nodes = dict[str, Host]

OURS = ("node1", "node3")
THEIRS = "node2"

WITHIN_S = 60.0

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    return make_lab(3, binaries={THEIRS: os.environ["PMXCFS_REFERENCE"]})


@pytest.fixture(autouse=True)
def _ends_with_equal_trees(lab: Lab) -> Iterator[None]:
    yield
    lab.trees_are_equal()


def run(node: Host, command: str, *arguments: str) -> None:
    result = node.run(command, *arguments)
    assert result.rc == 0, f"{command}: {result.stderr}"


def wait_for_text(node: Host, path: str, text: str) -> None:
    def check() -> None:
        assert node.run("cat %s", f"/etc/pve/{path}").stdout == text

    eventually(check, within_s=WITHIN_S)


def write_everything(node: Host, tag: str) -> None:
    """Do each kind of change once, all below a folder of its own."""
    top = f"/etc/pve/{tag}"
    run(node, "mkdir -p %s/deep/er && echo one > %s/deep/er/file", top, top)
    run(node, "echo two >> %s/deep/er/file && : > %s/empty", top, top)
    run(node, "head -c 300000 /dev/urandom > %s/big", top)
    run(node, "printf XYZ | dd of=%s/big bs=1 seek=100000 conv=notrunc status=none", top)
    run(node, "truncate -s 200000 %s/big", top)
    run(node, "echo new > %s/a.tmp && mv %s/a.tmp %s/a && echo newer > %s/b", top, top, top, top)
    run(node, "mv %s/b %s/a && touch -d @1600000000 %s/a", top, top, top)
    run(node, "mkdir %s/gone && rmdir %s/gone && rm %s/empty", top, top, top)


def shown(node: Host, name: str) -> str:
    """Return one of the status texts."""
    text: str = node.run("cat %s", f"/etc/pve/{name}").stdout
    return text


def entries_of(node: Host) -> list[tuple[str, int, str]]:
    """Return node, number and text of what the cluster log of a node shows."""
    entries = json.loads(shown(node, ".clusterlog"))["data"]
    return [(entry["node"], entry["uid"], entry["msg"]) for entry in entries]


def ask(lab: Lab, node: str, *arguments: str) -> None:
    """Have a management client ask the daemon of a node for something."""
    program = Path(__file__).with_name("ipc_client.py").read_text()
    answer = lab.exec(node, PYTHON, "-c", program, *arguments)
    assert answer.exit_status == 0, answer.stderr


def test_all_nodes_are_online_at_their_addresses_wherever_one_looks(lab: Lab, nodes: Nodes) -> None:
    expected = {
        node.name: {"id": node.node_id, "online": 1, "ip": node.address} for node in lab.plan.nodes
    }

    def check() -> None:
        for node in nodes.values():
            assert json.loads(shown(node, ".members"))["nodelist"] == expected

    eventually(check, within_s=WITHIN_S)


def test_what_a_client_of_the_reference_tells_all_nodes_know(lab: Lab, nodes: Nodes) -> None:
    ask(lab, THEIRS, "log", 'said on theirs: "ä"')
    ask(lab, THEIRS, "set", "kv/theirs", "1")
    ask(lab, THEIRS, "set", "rrd/pve2-vm/100", "1:2:U")

    def check() -> None:
        for node in nodes.values():
            assert entries_of(node)[0][::2] == (THEIRS, 'said on theirs: "ä"')
            assert json.loads(shown(node, ".version"))["kvstore"][THEIRS] == {"kv/theirs": 0}
            assert shown(node, ".rrd").rstrip("\0") == "pve2-vm/100:1:2:U\n"

    eventually(check, within_s=WITHIN_S)


def test_metrics_end_up_in_equal_files_on_all_nodes(lab: Lab, nodes: Nodes) -> None:
    for name in lab.plan.names:
        assert lab.exec(name, "mkdir", "-p", str(archives.BASE)).exit_status == 0
    now_s = int(time.time())
    for key, text in archives.values(now_s):
        ask(lab, THEIRS, "set", key, text)
    look = ("env", f"PYTHONPATH={ROOT}", PYTHON, "-m", "tests.golden.archives", str(now_s))

    def check() -> None:
        theirs, *ours = [lab.exec(name, *look).stdout for name in (THEIRS, *OURS)]
        files = json.loads(theirs)
        assert sum(name.count("/") > 0 for name in files) == 14, "11 files, 3 nodes with storages"
        for text in ours:
            assert json.loads(text).keys() == files.keys()
            assert text == theirs

    eventually(check, within_s=WITHIN_S)


@pytest.mark.parametrize("restarted", [THEIRS, "node3"])
def test_the_cluster_log_is_the_same_on_all_nodes_after_a_restart(
    lab: Lab, nodes: Nodes, restarted: str
) -> None:
    before = len(entries_of(nodes["node1"]))
    end(lab, restarted)
    lab.start(restarted)
    lab.wait(within_s=WITHIN_S)

    def check() -> None:
        logs = [entries_of(node) for node in nodes.values()]
        assert logs[0] == logs[1] == logs[2]
        assert len(logs[0]) == before + 1
        assert logs[0][0][::2] == (restarted, "starting cluster log")

    eventually(check, within_s=WITHIN_S)
    for name in OURS:
        text = lab.exec(name, "cat", "/var/log/pmxcfs.log").stdout.decode()
        assert "joined the group" in text
        assert "leaving the group" not in text


def test_what_ours_writes_the_reference_has(lab: Lab, nodes: Nodes) -> None:
    write_everything(nodes["node1"], "from-ours")
    wait_for_text(nodes[THEIRS], "from-ours/a", "newer\n")
    wait_for_text(nodes[THEIRS], "from-ours/deep/er/file", "one\ntwo\n")


def test_what_the_reference_writes_ours_have(lab: Lab, nodes: Nodes) -> None:
    write_everything(nodes[THEIRS], "from-theirs")
    for name in OURS:
        wait_for_text(nodes[name], "from-theirs/a", "newer\n")
        wait_for_text(nodes[name], "from-theirs/deep/er/file", "one\ntwo\n")


def test_both_refuse_a_vm_id_that_the_other_side_uses(lab: Lab, nodes: Nodes) -> None:
    for name in lab.plan.names:
        run(nodes["node1"], "mkdir -p %s", f"/etc/pve/nodes/{name}/qemu-server")
    run(nodes["node1"], "echo > /etc/pve/nodes/node1/qemu-server/100.conf")
    run(nodes[THEIRS], "echo > /etc/pve/nodes/node2/qemu-server/200.conf")
    for name, vm_id in ((THEIRS, 100), ("node3", 200)):
        result = nodes[name].run(f": > /etc/pve/nodes/{name}/qemu-server/{vm_id}.conf")
        assert "File exists" in result.stderr


@pytest.mark.parametrize("restarted", [THEIRS, "node1"])
def test_a_restarted_daemon_catches_up_from_the_other_kind(
    lab: Lab, nodes: Nodes, restarted: str
) -> None:
    end(lab, restarted)
    others = [name for name in lab.plan.names if name != restarted]
    lab.wait(others, within_s=WITHIN_S)
    for name in others:
        write_everything(nodes[name], f"without-{restarted}-by-{name}")
    lab.start(restarted)
    lab.wait(within_s=WITHIN_S)


def test_all_restarted_one_by_one_still_agree(lab: Lab, nodes: Nodes) -> None:
    for name in lab.plan.names:
        end(lab, name)
        lab.start(name)
        lab.wait(within_s=WITHIN_S)
    write_everything(nodes[THEIRS], "afterwards-theirs")
    write_everything(nodes["node3"], "afterwards-ours")


def test_each_daemon_serves_the_database_that_the_other_wrote(lab: Lab, make_lab: MakeLab) -> None:
    """An upgrade and a rollback: stop one, start the other on its files."""
    lab.trees_are_equal()
    expected = lab.trees()["node1"]
    for source, binaries in ((THEIRS, {}), ("node1", {"node1": os.environ["PMXCFS_REFERENCE"]})):
        end(lab, source)
        other = make_lab(1, binaries=binaries, local=True)
        end(other, "node1")
        content = lab.exec(source, "cat", "/var/lib/pve-cluster/config.db").stdout
        replace = "rm -f /var/lib/pve-cluster/config.db* && cat > /var/lib/pve-cluster/config.db"
        assert other.exec("node1", "sh", "-c", replace, stdin=content).exit_status == 0
        other.start("node1")
        other.wait()
        assert other.trees()["node1"] == expected
        lab.start(source)
        lab.wait(within_s=WITHIN_S)


def test_the_state_says_who_answers_and_who_cannot_be_asked(lab: Lab, nodes: Nodes) -> None:
    result = nodes["node1"].run(f"{PYTHON} -m pmxcfs.tools.ctl status --json")
    members = json.loads(result.stdout)["status"]["members"]
    assert {each["name"]: each["answers"] for each in members} == {
        "node1": True,
        "node2": None,
        "node3": True,
    }
    shown = nodes["node1"].run(f"{PYTHON} -m pmxcfs.tools.ctl status")
    assert (shown.rc, "no fault seen; it cannot be asked" in shown.stdout) == (0, True)
