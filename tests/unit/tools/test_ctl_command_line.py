"""What pmxcfs-ctl prints and how it exits, with a daemon that says what the test wants."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pmxcfs.tools.ctl import app
from tests.unit.tools.test_ctl_causes import NOW_S, awaited, member, status

COMMANDS = (
    *("status", "explain", "members", "log", "watch", "metrics", "list-values", "debug"),
    *("history", "show", "diff", "undo"),
)
WITHIN_S = 20

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs pmxcfs-ctl for a daemon whose run directory is below tmp_path.

    Corosync works and sees one vote of three.
    """
    tool = tmp_path / "corosync-quorumtool"
    tool.write_text(
        "#!/bin/sh\necho 'Expected votes: 3'; echo 'Total votes: 1'; echo 'Quorum: 2'\n"
    )
    tool.chmod(0o755)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PMXCFS_RUN": str(tmp_path / "run"), "PATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "pmxcfs.tools.ctl", *arguments],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            env=environment,
        )

    return run


@contextmanager
def daemon(
    tmp_path: Path, *answers: dict[str, Any], requests: list[Any] | None = None
) -> Iterator[None]:
    """Answer one client, whatever it asks, with lines of JSON."""
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "run/control.sock"))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client, client.makefile("rb") as lines:
                request = json.loads(lines.readline())
                if requests is not None:
                    requests.append(request)
                for answer in answers:
                    client.sendall(json.dumps({"version": 1, **answer}).encode() + b"\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(WITHIN_S)


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    assert f"pmxcfs-ctl {command}" in help_of(command).partition("Example")[2]


def test_the_help_lists_every_command_and_status() -> None:
    text = help_of()
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "..." not in text.partition("Commands:")[2]
    for number in (0, 1, 2, 130, 255):
        assert f" {number}  " in text


@pytest.mark.parametrize("arguments", [("no-such",), ("status", "x"), ("debug", "maybe")])
def test_wrong_usage_has_a_status_of_its_own(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 255


def test_a_node_alone_that_is_well(run: Run, tmp_path: Path) -> None:
    alone = status(mode="standalone", members=[], cluster=None, corosync=[])
    with daemon(tmp_path, {"status": alone}):
        result = run("status")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "node1  no cluster  pmxcfs 0.1.0  pid 42  up 1 min 40 s",
        "changes   taken",
        "mode      alone, mounted on /etc/pve",
        "tree      version 7; 5 of 262144 entries (0 %), 1000 bytes of 128 MiB (0 %)",
        "database  writable; /var/lib/pve-cluster/config.db, 4.0 KiB, log 0 bytes, free 1.0 TiB",
        "locks     none",
        "waits     none",
    ]


def test_a_degraded_cluster_fits_on_one_screen_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    lock = {"path": "priv/lock/ha\x1b[2J", "holder": "node2", "node_id": 2, "age_s": 130}
    state = status(
        writable=False,
        quorum__quorate=False,
        members=[member(1), member(2, in_ring=False), member(3, in_ring=False)],
        waits=[awaited()],
        locks={"count": 1, "lifetime_s": 120, "held": [lock]},
    )
    with daemon(tmp_path, {"status": state}):
        result = run("status")
    assert result.returncode == 1
    assert "NOT TAKEN: no quorum: this node sees 1 of 3 votes and needs 2" in result.stdout
    assert "held by node2, refreshed 2 min 10 s ago, expired" in result.stdout
    assert "tree: for node3 (id 3, pid 42) since 5 s" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stdout.count("\n") < 24
    assert [line for line in result.stdout.splitlines() if line.endswith(" ")] == []
    assert "  what it means\n" in result.stdout


def test_explain_names_causes_and_commands(run: Run, tmp_path: Path) -> None:
    failed = status(
        writable=False, database__state="failed", database__reason="I/O error", mode="standalone"
    )
    with daemon(tmp_path, {"status": failed}):
        result = run("explain")
    assert result.returncode == 1
    assert "node1 takes no changes at the moment." in result.stdout
    assert "\n  I/O error\n" in result.stdout
    assert "\n    systemctl restart pve-cluster\n" in result.stdout


def test_json_has_the_state_and_the_findings(run: Run, tmp_path: Path) -> None:
    alone = status(mode="standalone", members=[], cluster=None)
    with daemon(tmp_path, {"status": alone}):
        result = run("status", "--json")
    assert result.returncode == 0
    value = json.loads(result.stdout)
    assert value["status"] == alone
    assert value["findings"] == {"causes": [], "concerns": [], "notices": []}


def test_the_log_is_printed_line_by_line_and_harmlessly(run: Run, tmp_path: Path) -> None:
    entry = {
        "uid": 1,
        "time": NOW_S,
        "pri": 4,
        "tag": "pveproxy",
        "pid": 7,
        "node": "node2",
        "user": "root@pam",
        "msg": "half\x1b]0;title\x07",
    }
    requests: list[Any] = []
    with daemon(tmp_path, {"entry": entry}, {"entry": entry}, requests=requests):
        result = run("log", "-n", "2", "-f")
    assert requests == [{"version": 1, "request": "log", "count": 2, "follow": True}]
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("node2 pveproxy[7] root@pam warning: half\\x1b]0;title\\x07")


def test_watch_prints_changes_and_what_was_missed(run: Run, tmp_path: Path) -> None:
    change = {
        "action": "rename",
        "path": "a",
        "target": "b",
        "size": 3,
        "tree_version": 9,
        "node_id": 2,
        "node": "node2",
        "time_s": NOW_S,
        "is_sync": True,
    }
    requests: list[Any] = []
    answers = ({"watching": "nodes"}, {"change": change}, {"missed": 5})
    with daemon(tmp_path, *answers, requests=requests):
        result = run("watch", "/etc/pve/nodes/")
    assert requests[0]["path"] == "nodes"
    assert result.stdout.rstrip().endswith("9 node2        rename  a -> b (3 bytes) [sync]")
    assert "missed 5 changes" in result.stderr


def test_a_refusal_is_told_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    with daemon(tmp_path, {"error": {"code": "forbidden", "sentence": "only root may"}}):
        result = run("debug", "on")
    assert (result.returncode, result.stderr) == (1, "pmxcfs-ctl: only root may\n")


def test_without_a_daemon_it_says_so_and_exits_with_2(run: Run, tmp_path: Path) -> None:
    result = run("status")
    assert result.returncode == 2
    assert "pmxcfs does not run on this node" in result.stdout
    assert "it ended cleanly, or never ran" in result.stdout
    assert "systemctl start pve-cluster" in result.stdout
    value = json.loads(run("explain", "--json").stdout)
    assert value["error"]["code"] == "not-running"


def test_a_daemon_that_was_killed_is_told_from_one_that_ended(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "run/control.sock"))
    (tmp_path / "run.pid").write_text("4194304\n")
    result = run("status")
    assert result.returncode == 2
    assert "the PID file names process 4194304, which is gone" in result.stdout


def test_a_daemon_that_hangs_is_told_from_one_that_is_gone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    stopped = subprocess.Popen([sys.executable, "-c", "'pmxcfs'; import time; time.sleep(60)"])
    try:
        (tmp_path / "run.pid").write_text(f"{stopped.pid}\n")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "run/control.sock"))
            server.listen()
            result = run("status")
            assert result.returncode == 2
            assert "pmxcfs runs, but does not answer" in result.stdout
            assert "it has not answered within 5 s" in result.stdout
            os.kill(stopped.pid, signal.SIGSTOP)
            os.waitpid(stopped.pid, os.WUNTRACED)
            result = run("status")
        assert result.returncode == 2
        assert "it has not answered" not in result.stdout
        assert f"kill -CONT {stopped.pid}" in result.stdout
    finally:
        stopped.kill()
        stopped.wait()
