"""The provider `docker`: composes the engine, compose's files and cuts into what the lab asks."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

from pmxcfs_lab.docker import compose_files, cuts, engine, requirements
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import Plan
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

ANSWER_WITHIN_S = 20.0
PROBE_WITHIN_S = 12.0
PROBE_TREE_WITHIN_S = 60.0
KILL_WITHIN_S = 10.0
READY_WITHIN_S = 30.0
IMAGE_WITHIN_S = 1800.0
POLL_S = 0.05

Seen = TypeVar("Seen")


class DockerProvider:
    """Nodes of one lab that are containers. Implements `pmxcfs_lab.provider.Provider`."""

    nodes_max = 5
    capabilities: frozenset[Capability] = frozenset()
    python = "/opt/pmxcfs/bin/python3"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._project = compose_files.project(layout.lab)

    @property
    def network(self) -> str:
        """See Provider."""
        return compose_files.network(self._layout.lab)

    def missing(self) -> Sequence[tuple[str, str]]:
        """See Provider."""
        return requirements.missing()

    def up(self, plan: Plan, *, guard_fd: int, say: Say) -> None:
        """See Provider."""
        say("looking for the nodes' image (a first build takes minutes)")
        image = _build_image()
        self._layout.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        compose_files.write_override(self._layout, plan)
        say(f"making {', '.join(plan.names)}")
        verb = ["up", "--detach", "--no-build", *plan.names]
        engine.compose(
            [*compose_files.arguments(self._layout), *verb],
            compose_files.environment(plan, image),
            guard_fd=guard_fd,
        )
        for name in plan.names:
            self._wait_until_ready(name)

    def down(self) -> bool:
        """See Provider."""
        found = {kind: engine.ids(kind, self._project) for kind in ("container", "network")}
        found["volume"] = engine.ids("volume", self._project)
        if found["container"]:
            engine.docker("container", "rm", "--force", "--volumes", *found["container"])
        for kind in ("network", "volume"):
            if found[kind]:
                engine.docker(kind, "rm", *found[kind])
        shutil.rmtree(self._layout.run, ignore_errors=True)
        return any(found.values())

    def remove(self, node: str) -> None:
        """See Provider."""
        raise LabError(f"{node} stays: a lab of containers cannot shrink.")

    def running(self) -> tuple[str, ...]:
        """See Provider."""
        return tuple(engine.running_services(self._project))

    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        """See Provider."""
        return engine.docker(
            "exec", "--interactive", self._container(node), *argv, stdin=stdin, within_s=timeout_s
        )

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """See Provider."""
        terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        return ["docker", "exec", "--interactive", *terminal, self._container(node), *argv]

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
        plan = self._plan()
        names = [name for group in groups for name in group]
        absent = set(names) - set(self.running())
        if absent:
            raise LabError(f"{min(absent)} does not run.", "`up` makes it again.")

        def cut(name: str) -> Completed:
            text = cuts.rules(plan, groups, name).encode()
            return self.exec(name, ["nft", "-f", "-"], stdin=text, timeout_s=ANSWER_WITHIN_S)

        for name, done in _on_all(names, cut).items():
            if done.exit_status != 0:
                raise LabError(f"{name}: nft refused: {done.stderr.decode().strip()}")

    def groups(self) -> Groups:
        """See Provider."""

        def look(name: str) -> frozenset[str]:
            return cuts.read_away(self.exec(name, cuts.LOOK, timeout_s=ANSWER_WITHIN_S).stdout)

        names = self.running()
        return cuts.groups_of(self._plan(), _on_all(names, look), names)

    def switch(self) -> SwitchControl | None:
        """See Provider: the engine's bridge is the kernel's."""
        return None

    def probe(self, node: str, *, with_tree: bool) -> Mapping[str, object]:
        """See Provider."""
        within_s = PROBE_TREE_WITHIN_S if with_tree else PROBE_WITHIN_S
        seen = engine.ask(self._container(node), "probe", within_s=within_s, with_tree=with_tree)
        return cast("Mapping[str, object]", seen)

    def logs(self, node: str) -> Mapping[str, Path]:
        """See Provider."""
        log = self._layout.node_state(node) / "log"
        paths = {
            "pmxcfs": log / "pmxcfs.log",
            "corosync": log / "corosync" / "corosync.log",
            "corosync output": log / "corosync.log",
        }
        return {name: path for name, path in paths.items() if path.exists()}

    def _container(self, node: str) -> str:
        return f"{self._project}-{node}"

    def _ask(self, node: str, verb: str, **arguments: object) -> object:
        return engine.ask(self._container(node), verb, within_s=ANSWER_WITHIN_S, **arguments)

    def _plan(self) -> Plan:
        record = read_record(self._layout.record)
        if record is None:
            raise LabError(f'There is no lab "{self._layout.lab}".')
        return record.plan

    def _wait_until_ready(self, node: str) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                self._ask(node, "states")
            except LabError as error:
                if time.monotonic() > deadline_s:
                    said = engine.docker("logs", self._container(node)).stderr.decode().strip()
                    raise LabError(f"{node} did not come up: {error}", said) from None
                time.sleep(POLL_S)
            else:
                return

    def _ended(self, node: str, services: Sequence[Service], within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            states = cast("dict[str, Any]", self._ask(node, "states"))
            if all(states[service]["pid"] is None for service in services):
                return True
            time.sleep(POLL_S)
        return False


def _on_all(names: Sequence[str], work: Callable[[str], Seen]) -> dict[str, Seen]:
    """Do the same for several nodes at once; return the results by node."""
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


def _build_image() -> str:
    """Return the image of this checkout's sources, which is built if it is not there."""
    done = subprocess.run(
        [str(compose_files.FOLDER / "build-image.sh")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=IMAGE_WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        raise LabError("The nodes' image could not be built.", "Its last words are above.")
    return done.stdout.strip()
