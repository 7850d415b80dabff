"""What the provider `docker` needs from the machine, and where to get it."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pmxcfs_lab.docker import engine
from pmxcfs_lab.docker.compose_files import FOLDER

INSTALL = "`make engine` installs and starts it (Debian: docker.io, docker-compose)."


def missing() -> list[tuple[str, str]]:
    """Return (what is missing, what to do) of everything that `up` would stumble over."""
    return list(_look())


def _look() -> Iterator[tuple[str, str]]:
    if os.geteuid() != 0:
        yield "root", "The lab keeps the nodes' databases and logs: use sudo."
    if not (FOLDER / "docker-compose.yml").is_file():
        yield "lab/docker-compose.yml", "This provider works from a checkout of the repository."
    if not _is_device(Path("/dev/fuse")):
        yield "/dev/fuse", "Try `modprobe fuse`: the nodes get it from this machine."
    if shutil.which("docker") is None:
        yield "docker", INSTALL
    elif not engine.is_running():
        yield "a container engine that answers (docker info)", "`make engine` starts one."
    elif engine.compose_command() is None:
        yield "docker compose, or docker-compose", INSTALL


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except FileNotFoundError:
        return False
