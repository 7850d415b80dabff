"""fsync waits for a majority of the disks, within a bound, or says what it promises instead."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from pmxcfs.durable.promise import FEW_S_MAX
from pmxcfs.durable_driver import MAJORITY_WAIT_S_MAX

from .conftest import MakeLab
from .where import PYTHON

Nodes = dict[str, Host]

SLACK_S = 3.0
WITHIN_S = 60.0

SAVE = """
import errno, json, os, sys, time
name, text, how = sys.argv[1:]
flags = os.O_CREAT | os.O_WRONLY | (os.O_SYNC if how == "O_SYNC" else 0)
file = os.open("/etc/pve/" + name, flags)
began_s = time.monotonic()
try:
    os.write(file, text.encode())
    if how != "O_SYNC":
        getattr(os, how)(file)
    result = "done"
except OSError as error:
    result = errno.errorcode[error.errno]
print(json.dumps([result, time.monotonic() - began_s]))
"""

LATE = """
import errno, json, os, time
file = os.open("/etc/pve/late", os.O_CREAT | os.O_WRONLY)
os.write(file, b"early")
print("written", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.05)
began_s = time.monotonic()
try:
    os.fsync(file)
    result = "done"
except OSError as error:
    result = errno.errorcode[error.errno]
print(json.dumps([result, time.monotonic() - began_s]))
"""

JUNK = """
import random, select
from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.corosync.group import DURABLE_GROUP
from pmxcfs.corosync.handle import Code, CorosyncError
from pmxcfs.dfsm.history import Point
from pmxcfs.durable.wire import Message, MessageType
chance, handle = random.Random(1), CpgHandle()
def persist(request, argument):
    while True:
        try:
            return request(argument)
        except CorosyncError as error:
            if error.code != Code.TRY_AGAIN:
                raise
handle.open()
persist(handle.join, DURABLE_GROUP)
while not any(handle.me in getattr(event, "members", ()) for event in handle.dispatch()):
    select.select([handle.fd], [], [], 1)
for number in range(2000):
    kind = chance.choice(list(MessageType))
    point = Point(chance.getrandbits(64), chance.randbytes(16))
    data = bytearray(Message(kind, point).encode())
    if number % 3 == 0:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif number % 3 == 1:
        data = chance.randbytes(chance.randrange(5000))
    persist(handle.multicast, bytes(data))
    handle.dispatch()
persist(handle.leave, DURABLE_GROUP)
handle.close()
print("done")
"""

STATUS = """
import json, socket
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/pve-cluster/status.sock")
    print(json.loads(connection.makefile("rb").readline())["fsync"])
"""


def save(node: Host, name: str, how: str = "fsync") -> tuple[str, float]:
    """Write a file and sync it; return "done" or the errno's name, and how long that took."""
    result = node.run("%s -c %s %s %s %s", PYTHON, SAVE, name, f"text of {name}", how)
    assert result.rc == 0, result.stderr
    word, took_s = json.loads(result.stdout)
    return word, took_s


def promise(node: Host) -> str:
    result = node.run("%s -c %s", PYTHON, STATUS)
    assert result.rc == 0, result.stderr
    text: str = result.stdout.strip()
    return text


def wait_for_promise(node: Host, word: str) -> None:
    def check() -> None:
        assert promise(node) == word

    eventually(check, within_s=WITHIN_S)


def _is_read_only(node: Host) -> None:
    assert node.run("touch /etc/pve/probe").rc != 0


@contextmanager
def stopped(lab: Lab, *nodes: str) -> Iterator[None]:
    """Stop the daemons of these nodes with SIGSTOP for as long as the block lasts."""
    with ExitStack() as stack:
        for node in nodes:
            seen = lab._provider.probe(node, with_tree=False)
            services = cast("dict[str, dict[str, int | None]]", seen["services"])
            pid = str(services[Service.PMXCFS]["pid"])
            lab.exec(node, "kill", "-STOP", pid)
            stack.callback(lab.exec, node, "kill", "-CONT", pid)
        yield


@pytest.mark.parametrize("how", ["fsync", "fdatasync", "O_SYNC"])
def test_fsync_returns_when_one_of_three_daemons_hangs(lab: Lab, nodes: Nodes, how: str) -> None:
    wait_for_promise(nodes["node1"], "majority")
    with stopped(lab, "node3"):
        word, took_s = save(nodes["node1"], f"by-majority-{how}", how)
        assert word == "done"
        assert took_s < SLACK_S
        assert promise(nodes["node1"]) == "majority"
    lab.wait()
    lab.trees_are_equal()


def test_fsync_is_eio_within_the_bound_when_two_of_three_daemons_hang(
    lab: Lab, nodes: Nodes
) -> None:
    wait_for_promise(nodes["node1"], "majority")
    with stopped(lab, "node2", "node3"):
        word, took_s = save(nodes["node1"], "without-majority")
        assert word == "EIO"
        assert MAJORITY_WAIT_S_MAX - 1 < took_s < MAJORITY_WAIT_S_MAX + SLACK_S
        text = lab.logs("node1")["pmxcfs"].read_text()
        assert "fsync gave up waiting" in text
        assert "waits_for=['node2 (id 2)', 'node3 (id 3)']" in text
    lab.wait()
    assert save(nodes["node1"], "with-majority")[0] == "done"
    lab.trees_are_equal()


@pytest.mark.thorough
def test_an_isolated_node_promises_nothing(lab: Lab, nodes: Nodes) -> None:
    wait_for_promise(nodes["node3"], "majority")
    command = f'rm -f /tmp/go /tmp/late; {PYTHON} -c "$0" >/tmp/late 2>&1 & echo $!'
    assert lab.exec("node3", "sh", "-c", command, LATE).exit_status == 0

    def shows(text: str) -> None:
        assert text in lab.exec("node3", "cat", "/tmp/late").stdout.decode()

    eventually(lambda: shows("written"), within_s=WITHIN_S)
    lab.partition("3")
    eventually(lambda: _is_read_only(nodes["node3"]), within_s=WITHIN_S)
    lab.exec("node3", "touch", "/tmp/go")
    eventually(lambda: shows("["), within_s=MAJORITY_WAIT_S_MAX + 2 * SLACK_S)
    last = lab.exec("node3", "cat", "/tmp/late").stdout.decode().splitlines()[-1]
    word, took_s = json.loads(last)
    assert promise(nodes["node3"]) == "nothing"
    assert word == "EIO"
    assert took_s < MAJORITY_WAIT_S_MAX + SLACK_S
    assert "waits_for=['quorum']" in lab.logs("node3")["pmxcfs"].read_text()
    lab.heal()
    lab.wait()
    assert save(nodes["node3"], "healed")[0] == "done"
    lab.trees_are_equal()


def test_what_fsync_acknowledged_outlives_the_node_that_asked(lab: Lab, nodes: Nodes) -> None:
    """The two others are stopped at once: what they did not sync would still be on their disks
    here, where no power is lost; the simulator takes that away too."""
    wait_for_promise(nodes["node1"], "majority")
    assert save(nodes["node1"], "outlives")[0] == "done"
    lab.kill("node1")
    lab.wait(["node2", "node3"])
    assert nodes["node2"].run("cat /etc/pve/outlives").stdout == "text of outlives"
    lab.start("node1")
    lab.wait()
    lab.trees_are_equal()


def test_nonsense_in_the_durability_group_is_ignored_with_few_words(lab: Lab, nodes: Nodes) -> None:
    wait_for_promise(nodes["node1"], "majority")
    before = {name: lab.logs(name)["pmxcfs"].stat().st_size for name in nodes}
    done = lab.exec("node3", PYTHON, "-c", JUNK)
    assert done.stdout == b"done\n", done.stderr.decode()
    for name, node in nodes.items():
        assert save(node, f"after-nonsense-{name}")[0] == "done"
        said = lab.logs(name)["pmxcfs"].read_bytes()[before[name] :].decode()
        assert said.count("of the durability group") in (1, 2), said
        assert "leaving the group" not in said
        assert "Traceback" not in said
    lab.trees_are_equal()


def test_when_the_others_are_gone_for_longer_this_nodes_disk_has_to_be_enough(
    lab: Lab, nodes: Nodes
) -> None:
    """Corosync runs on all nodes, so they are quorate; the daemons of two do not."""
    wait_for_promise(nodes["node1"], "majority")
    for name in ("node2", "node3"):
        lab.stop(name, [Service.PMXCFS])
    word, took_s = save(nodes["node1"], "alone")
    assert word == "done"
    assert took_s > FEW_S_MAX - 2 * SLACK_S
    wait_for_promise(nodes["node1"], "this node")
    word, took_s = save(nodes["node1"], "alone-again")
    assert (word, took_s < SLACK_S) == ("done", True)
    assert "fsync promises no more than this node's disk" in lab.logs("node1")["pmxcfs"].read_text()
    for name in ("node2", "node3"):
        lab.start(name, [Service.PMXCFS])
    lab.wait()
    wait_for_promise(nodes["node1"], "majority")
    lab.trees_are_equal()


@pytest.mark.needs("reference")
def test_with_one_reference_member_two_of_ours_are_a_majority_and_one_is_not(
    make_lab: MakeLab,
) -> None:
    from pmxcfs_lab.testinfra_backend import connect

    lab = make_lab(3, binaries={"node2": os.environ["PMXCFS_REFERENCE"]})
    lab.wait(within_s=WITHIN_S)
    node1 = connect(lab, "node1")
    wait_for_promise(node1, "majority")
    word, took_s = save(node1, "beside-the-reference")
    assert (word, took_s < SLACK_S) == ("done", True)
    groups = node1.run("corosync-cpgtool").stdout.partition("pmxcfs_durable_v1")[2]
    assert f"({lab.plan.node('node2').address})" not in groups.partition("pve_")[0]
    lab.stop("node3", [Service.PMXCFS])
    wait_for_promise(node1, "this node")
    began_s = time.monotonic()
    assert save(node1, "only-one-of-ours")[0] == "done"
    assert time.monotonic() - began_s < 2 * SLACK_S
    lab.start("node3", [Service.PMXCFS])
    lab.wait(within_s=WITHIN_S)
    wait_for_promise(node1, "majority")
    lab.trees_are_equal()
