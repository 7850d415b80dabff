"""Where a lab keeps what: running state below /run, databases and logs below /var/lib."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.errors import LabError

RUN_ROOT = Path("/run/pmxcfs-lab")
STATE_ROOT = Path("/var/lib/pmxcfs-lab")

LAB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""Short enough that a socket path below RUN_ROOT stays under the kernel's 108 bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one lab.

    Attributes:
        lab: the lab's name.
        run_root: parent of all labs' running state; gone after a reboot on most hosts.
        state_root: parent of all labs' databases and logs.
    """

    lab: str
    run_root: Path = RUN_ROOT
    state_root: Path = STATE_ROOT

    def __post_init__(self) -> None:
        if LAB_NAME.fullmatch(self.lab) is None:
            raise LabError(
                f'"{self.lab}" cannot name a lab.',
                "Use up to 32 lower-case letters, digits and dashes, for example LAB=two.",
            )

    @property
    def run(self) -> Path:
        """Records of processes, control sockets, init configurations."""
        return self.run_root / self.lab

    @property
    def state(self) -> Path:
        """The lab's record and one folder a node."""
        return self.state_root / self.lab

    @property
    def lock(self) -> Path:
        """Held by whoever builds or removes the lab; beside `run`, because `run` is removed."""
        return self.run_root / f"{self.lab}.lock"

    @property
    def record(self) -> Path:
        """What the lab consists of, as JSON."""
        return self.state / "lab.json"

    def node_state(self, node: str) -> Path:
        """Return the folder that survives a restart of the node: database, logs, /etc/corosync."""
        return self.state / node

    def process(self, name: str) -> Path:
        """Return the record of the process that holds a node's (or the switch's) namespaces."""
        return self.run / f"{name}.process"

    def control(self, node: str) -> Path:
        """Return the socket on which a node's init takes requests."""
        return self.run / f"{node}.sock"

    def init_config(self, node: str) -> Path:
        """Return the file from which a node's init learns what it is."""
        return self.run / f"{node}.json"

    def node_processes(self) -> Iterator[tuple[str, Path]]:
        """Yield (name, record) of every process that was ever recorded for this lab."""
        if self.run.is_dir():
            for path in sorted(self.run.glob("*.process")):
                yield path.stem, path


def existing_labs(state_root: Path = STATE_ROOT, run_root: Path = RUN_ROOT) -> list[str]:
    """Return the names of all labs that left anything behind, sorted."""
    found = set()
    for root in (state_root, run_root):
        if root.is_dir():
            found |= {path.name for path in root.iterdir() if path.is_dir()}
    return sorted(name for name in found if LAB_NAME.fullmatch(name))
