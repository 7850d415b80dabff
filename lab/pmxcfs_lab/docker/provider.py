"""The provider `docker`: composes the engine and compose's files into what the lab asks."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pmxcfs_lab.docker import compose_files, engine, requirements
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.machines import Machines
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Capability, Completed, Say

READY_WITHIN_S = 30.0
IMAGE_WITHIN_S = 1800.0


class DockerProvider(Machines):
    """Nodes of one lab that are containers. Implements `pmxcfs_lab.provider.Provider`."""

    offset = 0
    capabilities = frozenset({Capability.SHARED_FOLDERS})

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
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
            try:
                self._wait_until_ready(name, READY_WITHIN_S)
            except LabError as error:
                said = engine.docker("logs", self._container(name)).stderr.decode().strip()
                raise LabError(f"{name} did not come up: {error}", said) from None

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

    def ask(self, node: str, verb: str, *, within_s: float, **arguments: object) -> object:
        """See Machines."""
        return engine.ask(self._container(node), verb, within_s=within_s, **arguments)

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
