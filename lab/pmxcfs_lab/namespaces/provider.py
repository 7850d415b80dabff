"""The provider `namespaces`: composes nodes and the network into what the lab asks for."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from pmxcfs_lab import processes
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces import requirements
from pmxcfs_lab.namespaces.network import Network
from pmxcfs_lab.namespaces.node import PACKAGES, Node
from pmxcfs_lab.namespaces.switched import SwitchedNetwork
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import NETWORK, NODES_MAX, Plan
from pmxcfs_lab.provider import (
    AS_USUAL,
    Capability,
    Completed,
    Groups,
    Launch,
    Say,
    Service,
)
from pmxcfs_lab.record import read_record
from pmxcfs_lab.switch.client import SwitchControl

AnyNetwork = Network | SwitchedNetwork

SWITCH = "switch"
"""Name of the record of the process that holds the bridges' network namespace."""

IDLE = ["sleep", "infinity"]
"""Holds the bridges' namespace where the kernel carries the frames."""

PROBE_WITHIN_S = 8.0
PROBE_TREE_WITHIN_S = 60.0
KILL_WITHIN_S = 10.0
POLL_S = 0.02


class NamespacesProvider:
    """Nodes of one lab made of Linux namespaces. Implements `pmxcfs_lab.provider.Provider`."""

    nodes_max = NODES_MAX
    offset = 0
    capabilities = frozenset(Capability)
    network = NETWORK
    python = sys.executable

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def missing(self) -> Sequence[tuple[str, str]]:
        """See Provider."""
        return requirements.missing()

    def up(self, plan: Plan, *, guard_fd: int, say: Say) -> None:
        """See Provider."""
        self._layout.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._layout.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        network, is_new = self._ensure_network(plan.options, guard_fd)
        nodes = [self._node(name) for name in plan.hosts]
        if is_new:  # nodes that lost their switch have no cable any more
            self._remove([node.name for node in nodes])
        absent = [node for node in nodes if not node.is_running()]
        for node in absent:
            say(f"making {node.name}")
            node.spawn(plan, guard_fd=guard_fd)
        for node in absent:
            node.wait_until_ready()
            network.plug_in(plan.node(node.name), node.pid())

    def down(self) -> bool:
        """See Provider."""
        names = [name for name, _ in self._layout.node_processes()]
        removed = self._remove(sorted(names, key=lambda name: name == SWITCH))
        shutil.rmtree(self._layout.run, ignore_errors=True)
        return removed

    def remove(self, node: str) -> None:
        """See Provider."""
        self._remove([node])

    def running(self) -> tuple[str, ...]:
        """See Provider."""
        names = (name for name, _ in self._layout.node_processes() if name != SWITCH)
        return tuple(name for name in names if self._node(name).is_running())

    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        """See Provider."""
        return self._node(node).exec(argv, stdin=stdin, timeout_s=timeout_s)

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """See Provider."""
        return self._node(node).enter_argv(argv)

    def start(
        self, node: str, service: Service, *, local: bool = False, launch: Launch = AS_USUAL
    ) -> None:
        """See Provider."""
        extra = ["-l"] if local and service is Service.PMXCFS else []
        self._node(node).request("start", service=service, extra=extra, **asdict(launch))

    def stop(self, node: str, service: Service, *, within_s: float) -> None:
        """See Provider."""
        self._node(node).request("signal", services=[service], signal="SIGTERM")
        if not self._ended(node, [service], within_s):
            raise LabError(
                f"{node}: {service} was asked to end and still runs after {within_s:.0f} s.",
                f"`pmxcfs-lab logs {node}` may say why; `pmxcfs-lab kill {node}` ends it.",
            )

    def kill(self, node: str, services: Sequence[Service]) -> None:
        """See Provider."""
        self._node(node).request("signal", services=list(services), signal="SIGKILL")
        if not self._ended(node, services, KILL_WITHIN_S):
            raise LabError(f"{node}: {' and '.join(services)} survived kill -9.")

    def signal(self, node: str, services: Sequence[Service], signal: str) -> None:
        """See Provider."""
        self._node(node).request("signal", services=list(services), signal=signal)

    def partition(self, groups: Groups) -> None:
        """See Provider."""
        self._running_network().partition(groups)

    def groups(self) -> Groups:
        """See Provider."""
        return self._running_network().groups(self.running())

    def probe(self, node: str, *, with_tree: bool) -> Mapping[str, object]:
        """See Provider."""
        within_s = PROBE_TREE_WITHIN_S if with_tree else PROBE_WITHIN_S
        seen = self._node(node).request("probe", with_tree=with_tree, timeout_s=within_s)
        return cast("Mapping[str, object]", seen)

    def logs(self, node: str) -> Mapping[str, Path]:
        """See Provider."""
        state = self._layout.node_state(node)
        paths = {
            "pmxcfs": state / "log" / "pmxcfs.log",
            "corosync": state / "log" / "corosync" / "corosync.log",
            "corosync output": state / "log" / "corosync.log",
            "init": state / "init.log",
        }
        return {name: path for name, path in paths.items() if path.exists()}

    def _node(self, name: str) -> Node:
        return Node(self._layout, name)

    def switch(self) -> SwitchControl | None:
        """See Provider."""
        path = self._layout.control(SWITCH)
        return SwitchControl(path) if path.exists() else None

    def _ensure_network(self, options: Options, guard_fd: int) -> tuple[AnyNetwork, bool]:
        with suppress(LabError):
            return self._network(options.links), False
        socket = self._layout.control(SWITCH)
        socket.unlink(missing_ok=True)
        python = ["env", f"PYTHONPATH={PACKAGES}", sys.executable]
        command = [*python, "-m", "pmxcfs_lab.switch", str(socket)]
        record = processes.spawn(
            ["unshare", "--net", "--mount", *(command if options.switch else IDLE)],
            self._layout.process(SWITCH),
            guard_fd=guard_fd,
            log=self._layout.state / "switch.log",
        )
        _wait_for_own_network(record.pid)
        if options.switch:
            _wait_for_socket(socket, self._layout.state / "switch.log")
        else:
            Network(record.pid, options.links).create()
        return self._network(options.links), True

    def _network(self, links: int) -> AnyNetwork:
        record = processes.read_record(self._layout.process(SWITCH))
        if record is None or not processes.is_alive(record):
            raise LabError("The lab's switch does not run.", "`pmxcfs-lab up` makes it again.")
        switch = self.switch()
        return Network(record.pid, links) if switch is None else SwitchedNetwork(switch, links)

    def _running_network(self) -> AnyNetwork:
        record = read_record(self._layout.record)
        return self._network(1 if record is None else record.plan.options.links)

    def _remove(self, names: Sequence[str]) -> bool:
        removed = False
        for name in names:
            record = processes.read_record(self._layout.process(name))
            if record is not None:
                removed |= processes.kill_and_wait(record, with_child=name != SWITCH)
            self._layout.process(name).unlink(missing_ok=True)
        return removed

    def _ended(self, node: str, services: Sequence[Service], within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            states = cast("dict[str, Any]", self._node(node).request("states"))
            if all(states[service]["pid"] is None for service in services):
                return True
            time.sleep(POLL_S)
        return False


def _wait_for_own_network(pid: int) -> None:
    """Return when the process has left our network namespace: it is recorded before it does."""
    deadline_s = time.monotonic() + processes.RECORD_WITHIN_S
    ours = Path("/proc/self/ns/net").readlink()
    while time.monotonic() < deadline_s:
        with suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/ns/net").readlink() != ours:
                return
        time.sleep(0.002)
    raise LabError("No network namespace could be made.", "Is CAP_SYS_ADMIN missing here?")


def _wait_for_socket(path: Path, log: Path) -> None:
    deadline_s = time.monotonic() + processes.RECORD_WITHIN_S
    while time.monotonic() < deadline_s:
        with suppress(LabError):
            SwitchControl(path).now()
            return
        time.sleep(0.01)
    raise LabError("The lab's switch does not answer.", f"See {log}.")
