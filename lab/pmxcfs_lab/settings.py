"""Putting a cluster's settings onto its nodes, where a node does not make them by itself."""

import os

from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Provider

CONF = "/etc/corosync/corosync.conf"
KEY = "/etc/corosync/authkey"
KEY_SIZE = 256


def configure(provider: Provider, plan: Plan) -> None:
    """Write corosync.conf, and the key if there is crypto, to every node; no corosync runs yet.

    Raises:
        LabError: a node did not take it.
    """
    if plan.local:
        return
    conf, key = corosync_conf(plan).encode(), os.urandom(KEY_SIZE)
    for name in plan.names:
        write(provider, name, CONF, conf)
        if plan.options.crypto:
            write(provider, name, KEY, key)


def write(provider: Provider, node: str, path: str, content: bytes) -> None:
    """Write a file on a node, readable by root only, in one step.

    Raises:
        LabError: the node did not take it.
    """
    script = 'umask 077 && cat > "$1.new" && mv "$1.new" "$1"'
    done = provider.exec(node, ["sh", "-c", script, "sh", path], stdin=content)
    if done.exit_status != 0:
        raise LabError(f"{node}: {path} was not written: {done.stderr.decode().strip()}")
