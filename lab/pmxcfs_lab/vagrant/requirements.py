"""What the provider `vagrant` needs from the machine, and where to get it."""

import os
import shutil
from collections.abc import Iterator

from pmxcfs_lab.docker.compose_files import FOLDER

TOOLS = {"vagrant": "vagrant", "ssh": "openssh-client", "rsync": "rsync"}
"""Program -> Debian's package."""

HYPERVISORS = ("VBoxManage", "libvirtd", "virtqemud")
"""One of these programs is there where VirtualBox or libvirt is."""


def missing() -> list[tuple[str, str]]:
    """Return (what is missing, what to do) of everything that `up` would stumble over."""
    return list(_look())


def _look() -> Iterator[tuple[str, str]]:
    if os.geteuid() != 0:
        yield "root", "The lab keeps its records below /var/lib: use sudo."
    if not (FOLDER / "Vagrantfile").is_file():
        yield "lab/Vagrantfile", "This provider works from a checkout of the repository."
    for program, package in TOOLS.items():
        if shutil.which(program) is None:
            yield program, f"Debian: `apt-get install {package}`."
    if not any(map(shutil.which, HYPERVISORS)):
        yield (
            "libvirt or VirtualBox",
            "Debian: `apt-get install vagrant-libvirt libvirt-daemon-system qemu-system-x86`.",
        )
