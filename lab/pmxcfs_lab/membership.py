"""A cluster's configuration while it runs: read it, give all nodes a new one, as an operator does.

corosync.conf is changed in /etc/pve, by a rename, with a higher config_version. Every pmxcfs copies
it to /etc/corosync, and then one `corosync-cfgtool -R` has all corosyncs read it.
"""

import re
from collections.abc import Sequence

from pmxcfs_lab import settings
from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Completed, Provider
from pmxcfs_lab.seed import WRITE_AS_TOOLS_DO

COPIED_WITHIN_S = 20.0
VERSION = re.compile(rb"config_version:\s*(\d+)")


def publish(provider: Provider, plan: Plan, nodes: Sequence[str]) -> str:
    """Give a quorate cluster the configuration of a plan, one version higher; return its text.

    Args:
        provider: has the nodes.
        plan: what the configuration shall say.
        nodes: the members that run; they are together.

    Raises:
        LabError: it was refused, or a node did not get it.
    """
    version = _version_on(provider, nodes[0]) + 1
    text = corosync_conf(plan, version)
    _run(provider, nodes[0], "sh", "-c", WRITE_AS_TOOLS_DO, stdin=text.encode())

    def has_arrived() -> None:
        for name in nodes:
            assert _version_on(provider, name) == version, f"{name} has an older corosync.conf"

    try:
        eventually(has_arrived, within_s=COPIED_WITHIN_S)
    except AssertionError as late:
        raise LabError(f"The new corosync.conf has not come everywhere: {late}") from None
    _run(provider, nodes[0], "corosync-cfgtool", "-R")
    return text


def copy(provider: Provider, from_: str, to: str) -> None:
    """Give a node the configuration, and the key if there is one, that another has."""
    for path in (settings.CONF, settings.KEY):
        there = provider.exec(from_, ["cat", path])
        if there.exit_status == 0:
            settings.write(provider, to, path, there.stdout)


def _version_on(provider: Provider, node: str) -> int:
    found = VERSION.search(_run(provider, node, "cat", settings.CONF).stdout)
    if found is None:
        raise LabError(f"{node}: {settings.CONF} has no config_version.")
    return int(found[1])


def _run(provider: Provider, node: str, *argv: str, stdin: bytes = b"") -> Completed:
    done = provider.exec(node, argv, stdin=stdin)
    if done.exit_status != 0:
        said = done.stderr.decode().strip() or done.stdout.decode().strip()
        raise LabError(f"{node}: `{argv[0]}` failed: {said}")
    return done
