"""Real corosyncs without pmxcfs, one a node, and processes of ours beside them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout, existing_labs
from pmxcfs_lab.lock import lab_lock
from pmxcfs_lab.namespaces.provider import NamespacesProvider
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Service
from pmxcfs_lab.record import LabRecord, Owner

from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.identity import Member, NodeId, Pid

PREFIX = "cpg-test-"
REPOSITORY = Path(__file__).parents[2]

SETTLED_WITHIN_S = 60.0
"""Corosync needed 33 s once to heal a split."""

EVENT_WITHIN_S = 20.0


class Corosyncs:
    """Nodes 1 to N, each with a corosync."""

    def __init__(self, node_count: int) -> None:
        self._layout = Layout(f"{PREFIX}{os.getpid()}")
        self._plan = make_plan(self._layout.lab, node_count)
        self._provider = NamespacesProvider(self._layout)
        self.node_ids = tuple(node.node_id for node in self._plan.nodes)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self._plan.lab

    def up(self) -> None:
        owner = Owner.ourselves()
        LabRecord(self._plan, "namespaces", is_complete=False, owner=owner).write(
            self._layout.record
        )
        with lab_lock(self._layout.lock) as guard_fd:
            self._provider.up(self._plan, guard_fd=guard_fd, say=lambda line: None)
        self.make_whole()

    def down(self) -> None:
        Lab(self._layout, self._provider, "namespaces").down()

    def make_whole(self) -> None:
        """Heal all and wait until every corosync sees every other."""
        self.partition(self.node_ids)
        for node_id in self.node_ids:
            self.resume(node_id)
            self.start(node_id)
        for node_id in self.node_ids:
            self.await_ring(node_id, self.node_ids)

    def start(self, node_id: int) -> None:
        self._provider.start(f"node{node_id}", Service.COROSYNC)

    def kill(self, node_id: int) -> None:
        self._provider.kill(f"node{node_id}", [Service.COROSYNC])

    def pause(self, node_id: int) -> None:
        self._signal(node_id, "SIGSTOP")

    def resume(self, node_id: int) -> None:
        self._signal(node_id, "SIGCONT")

    def partition(self, *groups: Sequence[int]) -> None:
        self._provider.partition(
            tuple(tuple(f"node{node_id}" for node_id in group) for group in groups)
        )

    def run(self, node_id: int, *argv: str) -> str:
        """Run a command on a node; return what it printed."""
        completed = self._provider.exec(f"node{node_id}", argv)
        output = completed.stdout.decode()
        assert completed.exit_status == 0, f"{argv}: {output}{completed.stderr.decode()}"
        return output

    def publish(self, node_id: int, text: str, *, notify: bool) -> str:
        """Bring a corosync.conf to a node as its daemon would; return the verdict."""
        module = [
            sys.executable,
            "-m",
            "tests.cluster.publishing",
            *(["--notify"] if notify else []),
        ]
        argv = ["env", f"PYTHONPATH={REPOSITORY}", *module]
        completed = self._provider.exec(f"node{node_id}", argv, stdin=text.encode())
        assert completed.exit_status == 0, completed.stderr.decode()
        return completed.stdout.decode().strip()

    def corosync_conf(self, config_version: int) -> str:
        return corosync_conf(self._plan, config_version)

    def await_ring(self, node_id: int, members: Sequence[int]) -> None:
        """Wait until this node's corosync is in a ring of exactly these nodes."""

        def check() -> None:
            seen = self._provider.exec(f"node{node_id}", ["corosync-quorumtool", "-s"])
            text = seen.stdout.decode()
            rows = text.partition("Membership information")[2].splitlines()
            ids = [
                int(row.split()[0]) for row in rows if row.split()[:1] and row.split()[0].isdigit()
            ]
            assert ids == list(members), f"node{node_id} sees {ids}: {seen.stderr.decode()}{text}"

        eventually(check, within_s=SETTLED_WITHIN_S)

    @contextmanager
    def process(self, node_id: int, *argv: str) -> Iterator["Process"]:
        """Run a Python module of ours on a node until the block ends."""
        command = ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", *argv]
        process = Process(self._provider.attach_argv(f"node{node_id}", command))
        try:
            yield process
        finally:
            process.end()

    @contextmanager
    def member(
        self, node_id: int, group: str = "contract\\0", **timing: float
    ) -> Iterator["GroupProcess"]:
        """Run a process that joins a group, until the block ends."""
        options = [f"--{key}={value}" for key, value in timing.items()]
        module = ["tests.cluster.group_member", f"--group={group}", *options]
        with self.process(node_id, *module) as process:
            yield GroupProcess(process, lambda pid: self._kill_pid(node_id, pid))

    def _kill_pid(self, node_id: int, pid: int) -> None:
        self.run(node_id, "kill", "-KILL", str(pid))

    def _signal(self, node_id: int, name: str) -> None:
        pid = self._provider.probe(f"node{node_id}", with_tree=False)["services"]
        number = pid["corosync"]["pid"]  # type: ignore[index]
        if number is not None:
            self.run(node_id, "kill", f"-{name.removeprefix('SIG')}", str(number))


class Process:
    """A process on a node: lines of JSON in and out, all kept."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._popen = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._news = threading.Condition()
        self.lines: list[dict[str, Any]] = []  # grows only
        self._answers_read: Counter[str] = Counter()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def order(self, **order: object) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(order) + "\n")
        self._popen.stdin.flush()

    def wait_until(
        self, is_true: Callable[[], bool], what: str, within_s: float = EVENT_WITHIN_S
    ) -> None:
        """Look again after every line, until it is true."""
        with self._news:
            assert self._news.wait_for(is_true, within_s), f"{what}: not within {within_s} s"

    def await_line(self, key: str, within_s: float = EVENT_WITHIN_S) -> Any:  # noqa: ANN401
        """Return the value of the next line that has this key, counted from the last such call."""

        values: list[Any] = []

        def is_found() -> bool:
            while not values and self._answers_read[key] < len(self.lines):
                line = self.lines[self._answers_read[key]]
                self._answers_read[key] += 1
                values.extend([line[key]] if key in line else [])
            return bool(values)

        self.wait_until(is_found, f"a line with {key}", within_s)
        return values[0]

    def end(self, within_s: float = 10.0) -> int:
        """Close its input and wait; a process that does not end by itself is killed."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()
        try:
            status = self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self._popen.send_signal(signal.SIGKILL)
            status = self._popen.wait()
        self._reader.join(within_s)
        self._popen.stdout.close()
        return status

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()


class GroupProcess:
    """A member of a group in a process of its own, with everything it was told."""

    def __init__(self, process: Process, kill: Callable[[int], None]) -> None:
        self.process = process
        self._kill = kill
        self.sent: list[bytes] = []
        self._events: list[GroupEvent] = []
        self._lines_read = 0

    @property
    def events(self) -> list[GroupEvent]:
        while self._lines_read < len(self.process.lines):
            line = self.process.lines[self._lines_read]
            self._lines_read += 1
            self._events += [_from_json(event) for event in line.get("events", [])]
        return self._events

    @property
    def log(self) -> list[ConfigurationChange | Delivered]:
        return [
            event for event in self.events if isinstance(event, ConfigurationChange | Delivered)
        ]

    @property
    def me(self) -> Member:
        self.wait_for(lambda events: bool(events), "connected")
        first = self.events[0]
        assert isinstance(first, Connected)
        return first.me

    @property
    def members(self) -> frozenset[Member]:
        changes = [event for event in self.events if isinstance(event, ConfigurationChange)]
        return frozenset(changes[-1].members) if changes else frozenset()

    def wait_for(
        self,
        is_true: Callable[[list[GroupEvent]], bool],
        what: str,
        within_s: float = EVENT_WITHIN_S,
    ) -> None:
        self.process.wait_until(lambda: is_true(self.events), what, within_s)

    def await_members(self, *members: Member, within_s: float = SETTLED_WITHIN_S) -> None:
        self.process.wait_until(
            lambda: self.members == frozenset(members), f"members {members}", within_s
        )

    def await_delivered(self, count: int, within_s: float = SETTLED_WITHIN_S) -> None:
        self.process.wait_until(
            lambda: self.count(Delivered) >= count, f"{count} deliveries", within_s
        )

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def send(self, prefix: str, count: int, pad: int = 0) -> None:
        """Multicast texts that no other member sends."""
        texts = [f"{prefix}-{number}" for number in range(count)]
        self.sent += [(f"{text}+{pad}" if pad else text).encode() for text in texts]
        self.process.order(do="send", messages=texts, pad=pad)

    def retries(self) -> int:
        """Return how often corosync was too busy to take a message."""
        self.process.order(do="traffic")
        count: int = self.process.await_line("traffic")["retries"]
        return count

    def leave(self, *, for_good: bool) -> None:
        self.process.order(do="leave", for_good=for_good)

    def kill(self) -> None:
        """Kill the process as kill -9 does."""
        self._kill(self.me.pid)


def _from_json(value: dict[str, Any]) -> GroupEvent:
    match value["is"]:
        case "connected":
            return Connected(_member(value["me"]))
        case "disconnected":
            return Disconnected()
        case "change":
            lists = [tuple(map(_member, value[key])) for key in ("members", "left", "joined")]
            return ConfigurationChange(*lists)
        case "delivered":
            return Delivered(_member(value["sender"]), value["data"].encode())
        case "failed":
            return SendFailed(value["data"].encode())
    raise ValueError(value)


def _member(pair: tuple[int, int]) -> Member:
    return Member(NodeId(pair[0]), Pid(pair[1]))


def remove_abandoned_labs() -> None:
    """Remove what test runs have left that were killed."""
    for name in existing_labs():
        if name.startswith(PREFIX):
            layout = Layout(name)
            with suppress(LabError):  # somebody is building it at this moment: not abandoned
                Lab(layout, NamespacesProvider(layout), "namespaces").down(only_if_orphaned=True)
