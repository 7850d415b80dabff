"""One node from the outside: making it, finding it again, entering it, removing it."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pmxcfs_lab
from pmxcfs_lab import processes
from pmxcfs_lab.corosync_conf import corosync_conf, hosts
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces import control, mounts
from pmxcfs_lab.namespaces.init import Configuration
from pmxcfs_lab.plan import NodePlan, Plan
from pmxcfs_lab.provider import Completed, Service

READY_WITHIN_S = 20.0

NO_OVERLAY = "PMXCFS_LAB_NO_OVERLAY"
"""Environment variable; if set, nodes are built as on a kernel without overlayfs."""

PACKAGES = Path(pmxcfs_lab.__file__).parent.parent
"""Where the lab's own code is imported from, by the processes that it starts."""

NAMESPACES = ["--pid", "--mount", "--uts", "--ipc", "--net"]


def default_binary() -> Path:
    """Return the pmxcfs that was installed beside the running interpreter."""
    return Path(sys.executable).parent / "pmxcfs"


class Node:
    """A node of a lab, running or not.

    Args:
        layout: the lab's paths.
        name: the node's name.
    """

    def __init__(self, layout: Layout, name: str) -> None:
        self._layout = layout
        self.name = name

    def spawn(self, plan: Plan, *, guard_fd: int) -> None:
        """Start the node's init; it builds the node while we do other things.

        Args:
            plan: the whole lab.
            guard_fd: see `processes.spawn`.
        """
        state = self._layout.node_state(self.name)
        for folder in mounts.BINDS:
            (state / folder).mkdir(mode=0o755, parents=True, exist_ok=True)
        (state / "pve-cluster").chmod(0o750)
        config = self._layout.init_config(self.name)
        self._configuration(plan, plan.node(self.name)).write(config)
        self._layout.control(self.name).unlink(missing_ok=True)
        unshare = ["unshare", "--fork", "--kill-child", *NAMESPACES, "--mount-proc"]
        python = ["env", f"PYTHONPATH={PACKAGES}", sys.executable]
        processes.spawn(
            [*unshare, *python, "-m", "pmxcfs_lab.namespaces.init", str(config)],
            self._layout.process(self.name),
            guard_fd=guard_fd,
            log=self.init_log,
        )

    def wait_until_ready(self) -> None:
        """Return when the init takes requests.

        Raises:
            LabError: it died, or took longer than READY_WITHIN_S.
        """
        deadline_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                control.request(self._layout.control(self.name), "states")
            except LabError:
                if not self.is_running() or time.monotonic() > deadline_s:
                    raise LabError(
                        f"{self.name} could not be built: {_last_line(self.init_log)}",
                        f"The whole story is in {self.init_log}.",
                    ) from None
                time.sleep(0.01)
            else:
                return

    @property
    def init_log(self) -> Path:
        """What the init and the commands it ran for building the node said."""
        return self._layout.node_state(self.name) / "init.log"

    def is_running(self) -> bool:
        """Tell if the node's namespaces are held by the process that was recorded for it."""
        record = processes.read_record(self._layout.process(self.name))
        return record is not None and processes.is_alive(record)

    def pid(self) -> int:
        """Return the init's process number as this machine sees it.

        Raises:
            LabError: the node does not run.
        """
        record = processes.read_record(self._layout.process(self.name))
        child = processes.only_child(record) if record and processes.is_alive(record) else None
        if child is None:
            raise LabError(f"{self.name} does not run.", "`pmxcfs-lab up` makes it again.")
        return child

    def request(self, verb: str, *, timeout_s: float = 10.0, **arguments: object) -> object:
        """Ask the node's init; see `control.request`."""
        path = self._layout.control(self.name)
        return control.request(path, verb, timeout_s=timeout_s, **arguments)

    def enter_argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command for this machine that runs argv inside the node."""
        target = str(self.pid())
        return ["nsenter", f"--target={target}", *NAMESPACES, "--", *argv]

    def exec(self, argv: Sequence[str], *, stdin: bytes, timeout_s: float) -> Completed:
        """Run argv inside the node; a command that outlives timeout_s is killed.

        Raises:
            LabError: the node does not run, or the command took too long.
        """
        try:
            completed = subprocess.run(
                self.enter_argv(argv),
                input=stdin,
                capture_output=True,
                timeout=timeout_s,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabError(
                f"{self.name}: `{' '.join(argv)}` did not end within {timeout_s:.0f} s."
            ) from None
        status = completed.returncode
        return Completed(
            status if status >= 0 else 128 - status, completed.stdout, completed.stderr
        )

    def _configuration(self, plan: Plan, node: NodePlan) -> Configuration:
        binary = node.binary or str(default_binary())
        return Configuration(
            hostname=node.name,
            state=str(self._layout.node_state(node.name)),
            control=str(self._layout.control(node.name)),
            hosts=hosts(plan),
            corosync_conf=None if plan.local or node == plan.witness else corosync_conf(plan),
            commands={Service.COROSYNC: ["corosync", "-f"], Service.PMXCFS: [binary, "-f"]},
            overlay=NO_OVERLAY not in os.environ,
        )


def _environment() -> dict[str, str]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**os.environ, "PATH": path}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it left no word"
