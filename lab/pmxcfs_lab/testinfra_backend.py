"""pytest-testinfra's connection to a node of a lab: whatever provider made it."""

import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from pmxcfs_lab.lab import Lab

COMMAND_WITHIN_S = 60.0


class LabBackend(BaseBackend):  # type: ignore[misc] # testinfra has no types
    """Runs every command of a testinfra host on one node.

    Args:
        lab: has the node.
        node: the node's name.
    """

    NAME = "pmxcfs-lab"

    def __init__(self, lab: Lab, node: str) -> None:
        super().__init__(node)
        self._lab = lab

    def run(self, command: str, *args: str, **_kwargs: object) -> CommandResult:
        """Run a shell command; "%s" in it stand for the quoted arguments."""
        text = self.get_command(command, *args)
        completed = self._lab.exec(
            self.hostname, "env", "LC_ALL=C.UTF-8", "sh", "-c", text, timeout_s=COMMAND_WITHIN_S
        )
        return self.result(completed.exit_status, text.encode(), completed.stdout, completed.stderr)


def connect(lab: Lab, node: str) -> testinfra.host.Host:
    """Return the testinfra host for a node of a lab that is up."""
    return testinfra.host.Host(LabBackend(lab, node))
