"""Nothing waits for ever: hanging daemons and a hanging corosync cost callers a bounded time.

Whoever hangs is stopped with SIGSTOP for longer than the bounds of those who wait for it.
"""

import json
import time
from functools import partial

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service
from testinfra.host import Host

from pmxcfs.callers import CALLERS_MAX
from pmxcfs.driver import ANSWER_WAIT_S_MAX
from pmxcfs.waits.stalls import STALL_S_MAX

from .services import stopped
from .where import PYTHON

Nodes = dict[str, Host]

GONE_S_MAX = 4.0
"""Who is killed or interrupted while its change waits is gone after a grace of one second."""

LOOK_S_MAX = 2.0
"""A read that takes longer than this waits for somebody."""

SLACK_S = 3.0
EXIT_S_MAX = 10.0
"""The unit's TimeoutStopSec."""

LOOK = """
import json, os, socket, sys, time
began_s = time.monotonic()
names = os.listdir("/etc/pve")
sizes = [os.lstat("/etc/pve/" + name).st_size for name in names]
text = open("/etc/pve/before").read()
texts = [len(open("/etc/pve/" + name).read()) for name in (".version", ".members", ".vmlist")]
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/pve-cluster/status.sock")
    status = json.loads(connection.makefile("rb").readline())
print(json.dumps([time.monotonic() - began_s, text, min(texts), status["sync"]]))
"""

ASK = """
import errno, json, os, sys, time
began_s = time.monotonic()
try:
    os.close(os.open("/etc/pve/" + sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    result = "done"
except OSError as error:
    result = errno.errorcode[error.errno]
print(json.dumps([result, time.monotonic() - began_s]))
"""

CROWD = """
import errno, json, os, sys, threading, time
from collections import Counter
files, new = int(sys.argv[1]), int(sys.argv[2])
results, began_s = Counter(), time.monotonic()
def ask(act, *arguments):
    try:
        act(*arguments)
        results["done"] += 1
    except OSError as error:
        results[errno.errorcode[error.errno]] += 1
def write(number):
    with open(f"/etc/pve/crowd/{number}", "wb", buffering=0) as file:
        file.write(b"late")
def create(number):
    os.close(os.open(f"/etc/pve/crowd/new/{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
def prepare():
    os.makedirs("/etc/pve/crowd/new")
    for number in range(files):
        open(f"/etc/pve/crowd/{number}", "wb").close()
threads = [threading.Thread(target=ask, args=(write, number)) for number in range(files)]
threads += [threading.Thread(target=ask, args=(create, number)) for number in range(new)]
if sys.argv[3] == "prepare":
    prepare()
else:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps([results, time.monotonic() - began_s]))
"""
"""Writers of many files, and creators in one directory, which the kernel lets in one at a time."""


CALLERS = {
    "mkdir": "os.mkdir('made')",
    "write": "os.write(os.open('f', os.O_WRONLY), b'late')",
    "fsync": "os.fsync(os.open('f', os.O_RDWR))",
}
"""Each in a directory of its own: the kernel locks what a call changes, and the next one waits."""
CALLER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.chdir(sys.argv[2])
print("asks", flush=True)
exec(sys.argv[1])
print("answered")
"""


def look(node: Host) -> str:
    """Read everything that can be read; return the sync word. The test fails if it takes long."""
    result = node.run("timeout 20 %s -c %s", PYTHON, LOOK)
    assert result.rc == 0, result.stderr
    took_s, text, shortest, word = json.loads(result.stdout)
    assert took_s < LOOK_S_MAX, f"reading took {took_s} s"
    assert (text, shortest > 0) == ("known to all", True)
    return str(word)


def ask(node: Host, name: str) -> tuple[str, float]:
    """Create a file; return "done" or the errno's name, and how long that took."""
    result = node.run("%s -c %s %s", PYTHON, ASK, name)
    assert result.rc == 0, result.stderr
    word, took_s = json.loads(result.stdout)
    return word, took_s


def start(lab: Lab, node: str, script: str, *arguments: str, output: str) -> int:
    """Start a script on a node and leave it to itself; return its process id."""
    command = f'{PYTHON} -c "$0" "$@" >{output} 2>&1 & echo $!'
    completed = lab.exec(node, "sh", "-c", command, script, *arguments)
    return int(completed.stdout)


def is_gone(lab: Lab, node: str, pid: int) -> bool:
    return lab.exec(node, "test", "-e", f"/proc/{pid}").exit_status != 0


def gone(lab: Lab, node: str, pid: int) -> None:
    assert is_gone(lab, node, pid)


def log_of(lab: Lab, node: str) -> str:
    return lab.logs(node)["pmxcfs"].read_text()


@pytest.fixture(autouse=True)
def before(nodes: Nodes) -> None:
    result = nodes["node1"].run("printf 'known to all' > /etc/pve/before")
    assert result.rc == 0, result.stderr


def test_a_hanging_daemon_keeps_nobody_from_reading_and_writers_get_an_errno(
    lab: Lab, nodes: Nodes
) -> None:
    with stopped(lab, "node3", Service.PMXCFS):
        assert ask(nodes["node1"], "while-it-hangs")[0] == "done"
        lab.stop("node2", [Service.PMXCFS])
        assert look(nodes["node1"]) == "start-sync"
        word, took_s = ask(nodes["node1"], "first")
        assert word == "EBUSY"
        assert took_s < STALL_S_MAX + SLACK_S
        assert look(nodes["node1"]) == "start-sync"
        assert ask(nodes["node1"], "next")[0] == "EBUSY"
        assert "waits_for=['node3 (id 3, pid" in log_of(lab, "node1")

        lab.start("node2", [Service.PMXCFS])
        eventually(lambda: look(nodes["node2"]), within_s=20)
        word, took_s = ask(nodes["node2"], "second")
        assert word == "EBUSY"
        assert took_s < STALL_S_MAX + SLACK_S
    lab.wait()
    assert ask(nodes["node1"], "after")[0] == "done"
    assert [nodes["node3"].run("test -e /etc/pve/%s", name).rc for name in ("first", "after")] == [
        1,
        0,
    ]
    lab.trees_are_equal()


def waits_in_the_kernel(lab: Lab, node: str, pid: int) -> None:
    """Fail unless a process has asked the mount for something, and has no answer."""
    assert b"fuse" in lab.exec(node, "cat", f"/proc/{pid}/stack").stdout


def test_who_is_killed_or_interrupted_while_the_group_does_not_answer_is_gone_soon(
    lab: Lab, nodes: Nodes
) -> None:
    cases = [(name, signal) for name in CALLERS for signal in ("KILL", "INT")]
    for name, signal in cases:
        home = f"/etc/pve/{name}-{signal}"
        assert nodes["node1"].run("mkdir %s && touch %s", home, f"{home}/f").rc == 0
    with stopped(lab, "node1", Service.COROSYNC):
        callers = [
            (start(lab, "node1", CALLER, CALLERS[name], home, output=output), signal)
            for name, signal in cases
            for home, output in [(f"/etc/pve/{name}-{signal}", f"/tmp/{name}-{signal}")]
        ]
        for pid, _ in callers:
            eventually(partial(waits_in_the_kernel, lab, "node1", pid), within_s=10)
        began_s = time.monotonic()
        for pid, signal in callers:
            lab.exec("node1", "kill", f"-{signal}", str(pid))
        for pid, _ in callers:
            eventually(partial(gone, lab, "node1", pid), within_s=GONE_S_MAX)
        assert time.monotonic() - began_s < GONE_S_MAX
        for name in CALLERS:
            said = lab.exec("node1", "cat", f"/tmp/{name}-INT").stdout
            assert b"KeyboardInterrupt" in said
            assert b"answered" not in said
        look(nodes["node1"])
    lab.wait()
    assert ask(nodes["node1"], "after-them")[0] == "done"
    lab.trees_are_equal()


def test_a_hanging_corosync_costs_writers_a_bound_and_not_the_end_of_the_daemon(
    lab: Lab, nodes: Nodes
) -> None:
    files, new = CALLERS_MAX + 50, 20
    lab.exec("node1", PYTHON, "-c", CROWD, str(files), str(new), "prepare")
    with stopped(lab, "node1", Service.COROSYNC):
        started_s = time.monotonic()
        start(lab, "node1", CROWD, str(files), str(new), "ask", output="/tmp/crowd")
        victim = start(lab, "node1", ASK, "crowd/victim", output="/tmp/victim")
        for _ in range(3):
            look(nodes["node1"])
        lab.exec("node1", "kill", "-KILL", str(victim))

        def crowd_is_answered() -> None:
            assert lab.exec("node1", "cat", "/tmp/crowd").stdout != b""

        eventually(crowd_is_answered, within_s=ANSWER_WAIT_S_MAX + 2 * SLACK_S)
        results, took_s = json.loads(lab.exec("node1", "cat", "/tmp/crowd").stdout)
        assert sum(results.values()) == files + new
        assert set(results) == {"EBUSY", "EIO"}
        assert took_s < ANSWER_WAIT_S_MAX + SLACK_S

        def victim_is_gone() -> None:
            assert is_gone(lab, "node1", victim)

        eventually(victim_is_gone, within_s=SLACK_S)  # it may have asked after the crowd
        assert time.monotonic() - started_s < ANSWER_WAIT_S_MAX + 3 * SLACK_S
        assert "waits_for=['corosync']" in log_of(lab, "node1")
        look(nodes["node1"])

        began_s = time.monotonic()
        lab.stop("node1", [Service.PMXCFS])
        assert time.monotonic() - began_s < EXIT_S_MAX
    lab.wait(["node2", "node3"])
    lab.start("node1")
    lab.wait()
    assert ask(nodes["node1"], "after-crowd")[0] == "done"
    lab.trees_are_equal()


def test_a_daemon_whose_corosync_hung_comes_back_by_itself_and_nothing_late_is_sent(
    lab: Lab, nodes: Nodes
) -> None:
    with stopped(lab, "node2", Service.COROSYNC):
        assert ask(nodes["node2"], "late")[0] in ("EIO", "EBUSY")

        def has_given_up() -> None:
            assert "cutting the connection" in log_of(lab, "node2") or "TIMEOUT" in log_of(
                lab, "node2"
            )

        eventually(has_given_up, within_s=20)
        look(nodes["node2"])
    lab.wait()
    assert [node.run("test -e /etc/pve/late").rc for node in nodes.values()] == [1, 1, 1]
    assert ask(nodes["node2"], "in-time")[0] == "done"
    lab.trees_are_equal()


def test_a_killed_corosync_makes_the_mount_read_only_at_once(lab: Lab, nodes: Nodes) -> None:
    lab.kill("node1", [Service.COROSYNC])
    began_s = time.monotonic()

    def is_read_only() -> None:
        assert ask(nodes["node1"], "refused")[0] == "EACCES"

    eventually(is_read_only, within_s=LOOK_S_MAX)
    assert time.monotonic() - began_s < 2 * LOOK_S_MAX
    look(nodes["node1"])
    lab.start("node1", [Service.COROSYNC])
    lab.wait()
    assert ask(nodes["node1"], "again")[0] == "done"
    lab.trees_are_equal()
