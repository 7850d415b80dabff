"""A quorum device: corosync-qnetd on a host of its own, corosync-qdevice on every node.

Both put themselves into the background, and live outside of what the lab calls services: the device
ends by itself when its corosync does.
"""

import shutil
from collections.abc import Iterator

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import WITNESS
from pmxcfs_lab.provider import Provider

PROGRAMS = {"corosync-qnetd": "corosync-qnetd", "corosync-qdevice": "corosync-qdevice"}
"""Program -> Debian package."""

START_WITNESS = """\
pidof corosync-qnetd >/dev/null && exit 0
mkdir -p /run/corosync-qnetd && exec corosync-qnetd -4 -s off -c off
"""

START_DEVICE = """\
pidof corosync-qdevice >/dev/null && exit 0
mkdir -p /run/corosync-qdevice && exec corosync-qdevice
"""


def missing() -> Iterator[tuple[str, str]]:
    """Yield (what this machine lacks for a quorum device, what to do about it)."""
    for program, package in PROGRAMS.items():
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            yield program, f"`apt-get install {package}`; the lab uses it for --qdevice only."


def start_witness(provider: Provider) -> None:
    """Start corosync-qnetd on its host, unless it runs.

    Raises:
        LabError: it did not start.
    """
    _start(provider, WITNESS, START_WITNESS)


def start_device(provider: Provider, node: str) -> None:
    """Start corosync-qdevice on a node whose corosync runs, unless it runs.

    Raises:
        LabError: it did not start.
    """
    _start(provider, node, START_DEVICE)


def _start(provider: Provider, host: str, script: str) -> None:
    done = provider.exec(host, ["sh", "-c", script])
    if done.exit_status != 0:
        said = done.stderr.decode().strip() or f"exit status {done.exit_status}"
        raise LabError(f"{host}: the quorum device did not start: {said}")
