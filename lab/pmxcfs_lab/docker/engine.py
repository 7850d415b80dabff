"""Calling the container engine on this machine through its own command line."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.provider import Completed

COMMAND_WITHIN_S = 120.0
UP_WITHIN_S = 300.0

REFUSALS = (b"Error response from daemon", b"Error: No such container", b"Cannot connect")
"""How the engine's own complaints begin, which are no output of the command that was to run."""

TAKEN = {
    "Pool overlaps": "Another network has these addresses: choose another lab with LAB=name.",
    "is already in use by container": "Another lab's container has that name: LAB=name chooses.",
    "port is already allocated": "Something on this machine has that port.",
}
"""What the engine says when something is taken -> what to do."""


def docker(*arguments: str, stdin: bytes = b"", within_s: float = COMMAND_WITHIN_S) -> Completed:
    """Run `docker` with these arguments and wait for it.

    Raises:
        LabError: it is not installed, the engine refused, or it took too long.
    """
    argv = ["docker", *arguments]
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=within_s, check=False)
    except FileNotFoundError:
        raise LabError(
            "There is no docker here.", "`make engine` installs and starts it."
        ) from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(argv[:4])} ...` did not end within {within_s:.0f} s.") from None
    if done.returncode != 0 and done.stderr.startswith(REFUSALS):
        raise LabError(f"The container engine refused: {_last_line(done.stderr)}")
    status = done.returncode
    return Completed(status if status >= 0 else 128 - status, done.stdout, done.stderr)


def is_running() -> bool:
    """Tell if an engine answers."""
    try:
        return docker("info", "--format", "{{.ServerVersion}}").exit_status == 0
    except LabError:
        return False


@cache
def compose_command() -> tuple[str, ...] | None:
    """Return how compose is called here: the plugin, the older program, or None."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None


def compose(
    arguments: Sequence[str], environment: Mapping[str, str], *, guard_fd: int | None = None
) -> None:
    """Run compose and wait for it.

    Args:
        arguments: files, project and verb.
        environment: added to ours.
        guard_fd: kept open by compose, which may outlive us, until it has ended.

    Raises:
        LabError: it failed; the hint says what to do if something was taken.
    """
    command = compose_command()
    assert command is not None, "requirements name it"
    done = subprocess.run(
        [*command, *arguments],
        stdin=guard_fd if guard_fd is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_WITHIN_S,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode != 0:
        advice = (advice for said, advice in TAKEN.items() if said in done.stderr)
        shown = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise LabError(f"compose failed: {shown}", next(advice, ""))


def ids(kind: str, project: str) -> list[str]:
    """Return all containers, networks or volumes that compose made for a project.

    Args:
        kind: container, network or volume.
        project: compose's project name.
    """
    every = ["--all"] if kind == "container" else []
    label = f"label=com.docker.compose.project={project}"
    return docker(kind, "ls", *every, "--quiet", "--filter", label).stdout.decode().split()


def running_services(project: str) -> dict[str, str]:
    """Return the container of every service of a project that runs, by the service's name."""
    found = docker(
        *("container", "ls", "--filter", f"label=com.docker.compose.project={project}"),
        *("--format", '{{.Label "com.docker.compose.service"}} {{.Names}}'),
    )
    lines = found.stdout.decode().splitlines()
    return dict(sorted(line.split(maxsplit=1) for line in lines))


def ask(container: str, verb: str, *, within_s: float, **arguments: object) -> object:
    """Hand a request to a container's first program and return its answer.

    Raises:
        LabError: it does not run, refused, or did not answer in time.
    """
    request = json.dumps({"verb": verb, **arguments})
    program = ("python3", "-m", "pmxcfs_lab.docker.ask", request)
    done = docker("exec", container, *program, within_s=within_s)
    if done.exit_status != 0:
        raise LabError(f"{container}: {_last_line(done.stderr)}")
    answer: object = json.loads(done.stdout)
    return answer


def _last_line(text: bytes) -> str:
    return (text.decode(errors="replace").strip().splitlines() or ["it left no word"])[-1]
