"""Nodes whose first program takes requests: what containers and virtual machines have in common.

The program is `pmxcfs_lab.docker.node`, and `pmxcfs_lab.docker.ask` hands it a request on the node.
Networks are cut by the nodes' packet filters.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar, cast

from pmxcfs_lab.docker import cuts
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import AS_USUAL, Capability, Completed, Groups, Launch, Service
from pmxcfs_lab.record import require_record
from pmxcfs_lab.switch.client import SwitchControl

ANSWER_WITHIN_S = 20.0
PROBE_WITHIN_S = 12.0
PROBE_TREE_WITHIN_S = 60.0
KILL_WITHIN_S = 10.0
POLL_S = 0.05

Seen = TypeVar("Seen")


class Machines(ABC):
    """What `pmxcfs_lab.provider.Provider` asks of them, but for making, entering and removing."""

    nodes_max = 5
    capabilities: frozenset[Capability] = frozenset()
    python = "/opt/pmxcfs/bin/python3"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @abstractmethod
    def ask(self, node: str, verb: str, *, within_s: float, **arguments: object) -> object:
        """Hand a request to a node's first program and return its answer.

        Raises:
            LabError: it does not run, refused, or did not answer in time.
        """

    @abstractmethod
    def running(self) -> tuple[str, ...]:
        """See Provider."""

    @abstractmethod
    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        """See Provider."""

    def remove(self, node: str) -> None:
        """See Provider."""
        raise LabError(f"{node} stays: only labs of namespaces can shrink.")

    def start(
        self, node: str, service: Service, *, local: bool = False, launch: Launch = AS_USUAL
    ) -> None:
        """See Provider."""
        extra = ["-l"] if local and service is Service.PMXCFS else []
        self._ask(node, "start", service=service, extra=extra, **asdict(launch))

    def stop(self, node: str, service: Service, *, within_s: float) -> None:
        """See Provider."""
        self._ask(node, "signal", services=[service], signal="SIGTERM")
        if not self._ended(node, [service], within_s):
            raise LabError(
                f"{node}: {service} was asked to end and still runs after {within_s:.0f} s.",
                f"`pmxcfs-lab logs {node}` may say why; `pmxcfs-lab kill {node}` ends it.",
            )

    def kill(self, node: str, services: Sequence[Service]) -> None:
        """See Provider."""
        self._ask(node, "signal", services=list(services), signal="SIGKILL")
        if not self._ended(node, services, KILL_WITHIN_S):
            raise LabError(f"{node}: {' and '.join(services)} survived kill -9.")

    def signal(self, node: str, services: Sequence[Service], signal: str) -> None:
        """See Provider."""
        self._ask(node, "signal", services=list(services), signal=signal)

    def partition(self, groups: Groups) -> None:
        """See Provider."""
        plan = self.plan
        names = [name for group in groups for name in group]
        absent = set(names) - set(self.running())
        if absent:
            raise LabError(f"{min(absent)} does not run.", "`up` makes it again.")

        def cut(name: str) -> Completed:
            text = cuts.rules(plan, groups, name).encode()
            return self.exec(name, ["nft", "-f", "-"], stdin=text, timeout_s=ANSWER_WITHIN_S)

        for name, done in on_all(names, cut).items():
            if done.exit_status != 0:
                raise LabError(f"{name}: nft refused: {done.stderr.decode().strip()}")

    def groups(self) -> Groups:
        """See Provider."""

        def look(name: str) -> frozenset[str]:
            return cuts.read_away(self.exec(name, cuts.LOOK, timeout_s=ANSWER_WITHIN_S).stdout)

        names = self.running()
        return cuts.groups_of(self.plan, on_all(names, look), names)

    def switch(self) -> SwitchControl | None:
        """See Provider: the frames are carried by whoever made the network."""
        return None

    def probe(self, node: str, *, with_tree: bool) -> Mapping[str, object]:
        """See Provider."""
        within_s = PROBE_TREE_WITHIN_S if with_tree else PROBE_WITHIN_S
        seen = self.ask(node, "probe", within_s=within_s, with_tree=with_tree)
        return cast("Mapping[str, object]", seen)

    @property
    def plan(self) -> Plan:
        """What the lab consists of, by its record."""
        return require_record(self._layout.record, self._layout.lab, ()).plan

    def _wait_until_ready(self, node: str, within_s: float) -> None:
        """Return once the node's first program answers; LabError if it does not in time."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                self._ask(node, "states")
            except LabError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(POLL_S)
            else:
                return

    def _ask(self, node: str, verb: str, **arguments: object) -> object:
        return self.ask(node, verb, within_s=ANSWER_WITHIN_S, **arguments)

    def _ended(self, node: str, services: Sequence[Service], within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            states = cast("dict[str, Any]", self._ask(node, "states"))
            if all(states[service]["pid"] is None for service in services):
                return True
            time.sleep(POLL_S)
        return False


def on_all(names: Sequence[str], work: Callable[[str], Seen]) -> dict[str, Seen]:
    """Do the same for several nodes at once; return the results by node."""
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))
