"""What the provider `namespaces` needs from the machine, and where to get it."""

import grp
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pmxcfs_lab.namespaces.node import default_binary

PROGRAMS = {
    "corosync": "corosync",
    "corosync-quorumtool": "corosync",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
}
"""Program -> Debian package."""


def missing() -> list[tuple[str, str]]:
    """Return (what is missing, what to do) of everything that `up` would stumble over."""
    return list(_look())


def _look() -> Iterator[tuple[str, str]]:
    if platform.system() != "Linux":
        yield f"Linux (this is {platform.system()})", "Run the lab in a Linux virtual machine."
        return
    if os.geteuid() != 0:
        yield "root", "Namespaces, mounts and network links need it: use sudo."
        return
    yield from _programs()
    if not _is_device(Path("/dev/fuse")):
        yield "/dev/fuse", "Try `modprobe fuse`; in a container start it with `--device /dev/fuse`."
    if not _has_group("www-data"):
        yield "the group www-data", "pmxcfs insists on it: `groupadd --system --gid 33 www-data`."
    if not os.access(default_binary(), os.X_OK):
        yield f"our daemon ({default_binary()})", "`make setup` builds and installs it."
    if shutil.which("unshare") and not _may_unshare():
        yield "the right to make namespaces", "In a container add the capability SYS_ADMIN."


def _programs() -> Iterator[tuple[str, str]]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=path) is None:
            yield program, f"`apt-get install {package}` (or `make setup`)."


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _may_unshare() -> bool:
    attempt = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--net", "true"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0
