"""The provider `vagrant`: composes vagrant and ssh into what the lab asks.

Machines answer over one ssh connection each, which is kept open while it is used: `vagrant ssh`
takes seconds each time.
"""

import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pmxcfs_lab.docker.compose_files import FOLDER
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.machines import ANSWER_WITHIN_S, Machines, on_all
from pmxcfs_lab.plan import NodePlan, Plan
from pmxcfs_lab.provider import Completed, Say
from pmxcfs_lab.record import read_record
from pmxcfs_lab.vagrant import commands, requirements
from pmxcfs_lab.vagrant.commands import Vagrant

READY_WITHIN_S = 60.0
EXIT_WITHIN_S = 10.0

UNIT = "pmxcfs-lab-node"
SETTINGS = "/etc/default/pmxcfs-lab-node"
"""Where the node's first program finds what the plan says; lab/provision.sh makes the unit."""

PUT = 'mkdir -p "$(dirname "$2")" && umask 022 && cat >"$2" && chmod "$1" "$2"'

LOGS = {
    "pmxcfs": "/var/log/pmxcfs.log",
    "corosync": "/var/log/corosync/corosync.log",
    "corosync output": "/var/log/corosync.log",
}


class VagrantProvider(Machines):
    """Nodes of one lab that are virtual machines. Implements `pmxcfs_lab.provider.Provider`."""

    offset = 10
    """The machine that runs the virtual ones has the first address."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._known = layout.state / "vagrant"
        self._config = self._known / "ssh-config"

    @property
    def network(self) -> str:
        """See Provider: 192.168.56 to 63, which VirtualBox allows without being told."""
        return f"192.168.{56 + zlib.crc32(self._layout.lab.encode()) % 8}"

    def missing(self) -> Sequence[tuple[str, str]]:
        """See Provider."""
        return requirements.missing()

    def up(self, plan: Plan, *, guard_fd: int, say: Say) -> None:
        """See Provider."""
        self._layout.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._known.mkdir(mode=0o700, parents=True, exist_ok=True)
        vagrant = self._vagrant(plan)
        say(f"vagrant makes {', '.join(plan.names)} (new machines take tens of minutes)")
        vagrant.up(plan.names, guard_fd=guard_fd, say=say)
        self._config.write_text("".join(map(vagrant.ssh_config, plan.names)))
        on_all(plan.names, lambda name: self._begin(plan, plan.node(name)))

    def down(self) -> bool:
        """See Provider."""
        were_there = any(self._known.glob("machines/*/*/id"))
        for control in self._layout.run.glob("ssh-*"):
            self._hang_up(control)
        if were_there:
            self._vagrant(None).destroy()
        shutil.rmtree(self._known, ignore_errors=True)
        shutil.rmtree(self._layout.run, ignore_errors=True)
        return were_there

    def running(self) -> tuple[str, ...]:
        """See Provider."""
        return self._vagrant(self.plan).running() if self._known.is_dir() else ()

    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        """See Provider."""
        kept_open = (
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", f"ControlPath={self._control(node)}"),
        )
        line = commands.ssh_argv(self._reached(node), node, argv, "-T", *kept_open)
        return commands.run(line, node, stdin, timeout_s)

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """See Provider: a connection of its own, since a machine takes few commands over one."""
        terminal = "-t" if sys.stdin.isatty() and sys.stdout.isatty() else "-T"
        return commands.ssh_argv(self._reached(node), node, argv, terminal)

    def ask(self, node: str, verb: str, *, within_s: float, **arguments: object) -> object:
        """See Machines."""
        request = json.dumps({"verb": verb, **arguments})
        program = [self.python, "-m", "pmxcfs_lab.docker.ask", request]
        done = self.exec(node, program, timeout_s=within_s)
        if done.exit_status != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise LabError(f"{node}: {said[-1] if said else 'it left no word'}")
        answer: object = json.loads(done.stdout)
        return answer

    def logs(self, node: str) -> Mapping[str, Path]:
        """See Provider: copies, made now if the machine is reached, else those of the last time."""
        folder = self._layout.node_state(node) / "log"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with suppress(LabError):
            for name, path in LOGS.items():
                found = self.exec(node, ["cat", path], timeout_s=ANSWER_WITHIN_S)
                if found.exit_status == 0:
                    (folder / name).write_bytes(found.stdout)
        return {name: folder / name for name in LOGS if (folder / name).exists()}

    def _vagrant(self, plan: Plan | None) -> Vagrant:
        """Return vagrant for the machines of a plan, or for all that this lab ever had."""
        record = read_record(self._layout.record)
        plan = plan or (None if record is None else record.plan)
        return Vagrant(
            {
                "VAGRANT_CWD": str(FOLDER),
                "VAGRANT_DOTFILE_PATH": str(self._known),
                "NODES": str(self.nodes_max if plan is None else len(plan.nodes)),
                "SUBNET": self.network,
                "CLUSTER": self._layout.lab,
                "AUTOSTART": "no",
            }
        )

    def _begin(self, plan: Plan, node: NodePlan) -> None:
        """Tell a machine what it is, and have its first program take requests."""
        settings = {
            "CLUSTER": plan.lab,
            "NODES": str(len(plan.nodes)),
            "SUBNET": node.network,
            "OFFSET": str(node.offset),
            "AUTOSTART": "no",
            "BINARY": node.binary or "",
            "LOCAL": "yes" if plan.local else "no",
        }
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        self._put(node.name, SETTINGS, "644", text.encode())
        if node.binary is not None:
            self._put(node.name, node.binary, "755", Path(node.binary).read_bytes())
        self._must(node.name, ["systemctl", "start", UNIT])
        self._wait_until_ready(node.name, READY_WITHIN_S)

    def _put(self, node: str, path: str, mode: str, content: bytes) -> None:
        self._must(node, ["sh", "-c", PUT, "sh", mode, path], content)

    def _must(self, node: str, argv: Sequence[str], stdin: bytes = b"") -> None:
        done = self.exec(node, argv, stdin=stdin)
        if done.exit_status != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise LabError(f"{node}: {argv[0]} failed: {words}", "Was it provisioned to its end?")

    def _reached(self, node: str) -> Path:
        if not self._config.is_file():
            raise LabError(f"{node} does not run.", "`up` makes it.")
        return self._config

    def _control(self, node: str) -> Path:
        return self._layout.run / f"ssh-{node}"

    def _hang_up(self, control: Path) -> None:
        node = control.name.removeprefix("ssh-")
        argv = ["ssh", "-F", str(self._config), "-o", f"ControlPath={control}", "-O", "exit", node]
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(argv, capture_output=True, timeout=EXIT_WITHIN_S, check=False)
