"""What a container or a virtual machine runs: corosync, pmxcfs, a clean end; takes requests.

It takes them as a node's init does.

The image starts it; lab/docker-compose.yml sets its environment: CLUSTER, SUBNET (three octets),
NODES or COMPOSE_PROFILES (n4, n5), and OFFSET if node 1 has not the first address. The provider
sets AUTOSTART=no, because it says when a service starts, and BINARY and LOCAL for nodes that
differ. It never restarts a service by itself. In a virtual machine systemd starts it
(lab/provision.sh).
"""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pmxcfs_lab import probe
from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.docker.node_paths import CONTROL
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.namespaces.init import Init
from pmxcfs_lab.namespaces.services import Supervisor
from pmxcfs_lab.plan import NETWORK, NODES_MAX, Plan, make_plan
from pmxcfs_lab.provider import Service

CONF = Path("/etc/corosync/corosync.conf")
FOLDERS = ("/etc/corosync", "/etc/pve", "/var/lib/corosync", "/var/log/corosync")

NODES_DEFAULT = 3
COROSYNC_WITHIN_S = 60.0
STOPPED_WITHIN_S = 12.0
POLL_S = 0.1


def main() -> None:
    """Make the node ready, then serve until SIGTERM, which ends both services cleanly."""
    environment = os.environ
    try:
        plan = plan_from(environment)
        plan.node(socket.gethostname())
    except LabError as error:
        sys.exit(f"node: {error} {error.hint}")
    _make_ready(plan)
    pmxcfs = environment.get("BINARY") or "pmxcfs"
    commands = {Service.COROSYNC: ["corosync", "-f"], Service.PMXCFS: [pmxcfs, "-f"]}
    supervisor = Supervisor({str(name): command for name, command in commands.items()})
    listener = _listen()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if environment.get("AUTOSTART", "yes") != "no":
            _start_all(supervisor)
        Init(listener, supervisor).serve()
    finally:
        _stop_all(supervisor)


def plan_from(environment: Mapping[str, str]) -> Plan:
    """Return the plan that a container's environment describes.

    Raises:
        LabError: a number of nodes that cannot be.
    """
    profiles = re.findall(r"\bn([1-9])\b", environment.get("COMPOSE_PROFILES", ""))
    count = environment.get("NODES") or max(profiles, default=str(NODES_DEFAULT))
    if not count.isdecimal():
        raise LabError(f"NODES={count} is no number.", f"Say 1 to {NODES_MAX}.")
    return make_plan(
        environment.get("CLUSTER") or "lab",
        int(count),
        local=environment.get("LOCAL") == "yes",
        network=environment.get("SUBNET") or NETWORK,
        offset=int(environment.get("OFFSET") or 0),
    )


def _make_ready(plan: Plan) -> None:
    """Give the node what it lacks: its volumes may be new, or hold what the cluster wrote."""
    for folder in FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("/var/lib/pve-cluster").mkdir(mode=0o750, exist_ok=True)
    Path("/run/lock").mkdir(mode=0o1777, exist_ok=True)
    if not plan.local and not CONF.exists():
        CONF.write_text(corosync_conf(plan))


def _listen() -> socket.socket:
    CONTROL.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(CONTROL))
    CONTROL.chmod(0o600)
    return listener


def _start_all(supervisor: Supervisor) -> None:
    _say("starting corosync")
    supervisor.start(Service.COROSYNC, [])
    deadline_s = time.monotonic() + COROSYNC_WITHIN_S
    while probe.corosync_quorum() is None:
        supervisor.reap()
        if not _runs(supervisor, Service.COROSYNC) or time.monotonic() > deadline_s:
            sys.exit("node: corosync did not start; see /var/log/corosync/corosync.log")
        time.sleep(POLL_S)
    _say("starting pmxcfs")
    supervisor.start(Service.PMXCFS, [])


def _stop_all(supervisor: Supervisor) -> None:
    """End pmxcfs, then corosync: the others see a node that leaves, not one that is lost."""
    for service in reversed(Service):
        if not supervisor.signal(service, signal.SIGTERM):
            continue
        _say(f"stopping {service}")
        deadline_s = time.monotonic() + STOPPED_WITHIN_S
        while _runs(supervisor, service) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
            supervisor.reap()


def _runs(supervisor: Supervisor, service: Service) -> bool:
    return supervisor.states()[service]["pid"] is not None


def _say(line: str) -> None:
    sys.stdout.write(f"{socket.gethostname()}: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
