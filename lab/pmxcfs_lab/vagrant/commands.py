"""Calling vagrant through its own command line, and the machines that it made through ssh."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.provider import Completed, Say

COMMAND_WITHIN_S = 300.0
LAST_LINES = 5

NO_VAGRANT = "Debian: `apt-get install vagrant`."

STEP = "==> "
"""How lines of vagrant's begin that tell what it does next."""

BY_SSH = (b"ssh: ", b"Connection ", b"Timeout, server", b"kex_exchange", b"client_loop", b"mux_")
SSH_FAILED = 255
"""How ssh's own complaints begin, and how it ends then: no answer of the command."""

PATH = "/opt/pmxcfs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AS_IN_A_SHELL = '"$@"; exit $?'
"""Ends with 128 + N where the command ends by signal N, which ssh and sudo would not tell."""


class Vagrant:
    """One folder's machines.

    Args:
        environment: what the Vagrantfile reads, and where vagrant keeps what it knows of them.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, "VAGRANT_CHECKPOINT_DISABLE": "1", **environment}

    def up(self, names: Sequence[str], *, guard_fd: int, say: Say) -> None:
        """Make and boot those that do not run, and provision the new ones: tens of minutes.

        Args:
            names: of machines.
            guard_fd: kept open by vagrant, which may outlive us, until it has ended.
            say: takes what vagrant does.

        Raises:
            LabError: it failed; its last lines are the hint.
        """
        argv = ["vagrant", "up", "--no-color", *names]
        said: list[str] = []
        with _started(argv, self._environment, guard_fd) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip())
                if line.startswith(STEP):
                    say(line.removeprefix(STEP).rstrip())
        if process.returncode != 0:
            raise LabError("vagrant up failed.", "\n".join(said[-LAST_LINES:]))

    def running(self) -> tuple[str, ...]:
        """Return the names of the machines that run, in order."""
        fields = (line.split(",") for line in self._said("status", "--machine-readable"))
        states = {field[1]: field[3] for field in fields if field[2:3] == ["state"]}
        return tuple(sorted(name for name, state in states.items() if state == "running"))

    def ssh_config(self, name: str) -> str:
        """Return what ssh must know to reach a machine that runs."""
        return "\n".join(self._said("ssh-config", name)) + "\n"

    def destroy(self) -> None:
        """Remove all machines with their disks."""
        self._said("destroy", "--force")

    def _said(self, *arguments: str) -> list[str]:
        argv = ["vagrant", *arguments]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_WITHIN_S,
                env=self._environment,
                check=False,
            )
        except FileNotFoundError:
            raise LabError("There is no vagrant here.", NO_VAGRANT) from None
        except subprocess.TimeoutExpired:
            late = f"`{' '.join(argv)}` did not end within {COMMAND_WITHIN_S:.0f} s."
            raise LabError(late) from None
        if done.returncode != 0:
            last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:])
            raise LabError(f"`{' '.join(argv)}` failed.", last)
        return done.stdout.splitlines()


def ssh_argv(config: Path, node: str, argv: Sequence[str], *options: str) -> list[str]:
    """Return the command that runs argv on a machine as root.

    Args:
        config: has what `Vagrant.ssh_config` said.
        node: the machine.
        argv: program and arguments, as they shall arrive.
        options: of ssh.
    """
    ssh = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *options]
    command = ["sudo", "--", "env", f"PATH={PATH}", "sh", "-c", AS_IN_A_SHELL, "sh", *argv]
    return [*ssh, node, shlex.join(command)]


def run(argv: Sequence[str], node: str, stdin: bytes, within_s: float) -> Completed:
    """Run what `ssh_argv` returned and wait for it.

    Raises:
        LabError: the machine was not reached, or it took too long.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=within_s, check=False)
    except FileNotFoundError:
        raise LabError("There is no ssh here.", "Debian: openssh-client.") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{node} did not answer within {within_s:.0f} s.") from None
    if done.returncode == SSH_FAILED and done.stderr.startswith(BY_SSH):
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1]
        raise LabError(f"{node} is not reached: {said}", "`up` boots it again.")
    return Completed(done.returncode, done.stdout, done.stderr)


def _started(
    argv: Sequence[str], environment: Mapping[str, str], guard_fd: int
) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            argv,
            stdin=guard_fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
    except FileNotFoundError:
        raise LabError("There is no vagrant here.", NO_VAGRANT) from None
