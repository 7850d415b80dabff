"""What a lab adds to lab/docker-compose.yml: folders of this machine in the place of volumes."""

import json
import os
import zlib
from pathlib import Path

import pmxcfs_lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import NodePlan, Plan

FOLDER = Path(pmxcfs_lab.__file__).parent.parent
"""Where docker-compose.yml and build-image.sh are: the lab's folder in the repository."""

MOUNTS = "PMXCFS_LAB_MOUNTS"
"""Environment variable: folders of this machine, joined by colons, that every node sees too."""

PRIVILEGED = "PMXCFS_LAB_PRIVILEGED"
"""Environment variable; if set, docker-compose.privileged.yml is used too."""

BINDS = {
    "pve-cluster": "/var/lib/pve-cluster",
    "corosync-lib": "/var/lib/corosync",
    "corosync-etc": "/etc/corosync",
    "log": "/var/log",
}
"""Folder of the node's state on this machine -> where the node has it."""


def project(lab: str) -> str:
    """Return compose's name for a lab."""
    return f"pmxcfs-lab-{lab}"


def network(lab: str) -> str:
    """Return three octets of a lab's network, which this machine sees: the same for a name.

    10.97.0 is left to those who use compose without us.
    """
    return f"10.97.{1 + zlib.crc32(lab.encode()) % 254}"


def arguments(layout: Layout) -> list[str]:
    """Return the files and the project to call compose with."""
    files = [FOLDER / "docker-compose.yml", override_path(layout)]
    if os.environ.get(PRIVILEGED):
        files.insert(1, FOLDER / "docker-compose.privileged.yml")
    named = [text for file in files for text in ("--file", str(file))]
    return [*named, "--project-name", project(layout.lab)]


def environment(plan: Plan, image: str) -> dict[str, str]:
    """Return what docker-compose.yml leaves open."""
    return {
        "IMAGE": image,
        "CLUSTER": plan.lab,
        "NODES": str(len(plan.nodes)),
        "SUBNET": plan.nodes[0].network,
        "COMPOSE_PROFILES": "n5",
    }


def override_path(layout: Layout) -> Path:
    """Return where the lab's own compose file is kept."""
    return layout.run / "compose.override.yml"


def write_override(layout: Layout, plan: Plan) -> None:
    """Write it: JSON, which is YAML too; every node's folders are made."""
    services = {node.name: _service(layout, plan, node) for node in plan.nodes}
    for node in plan.nodes:
        for folder in BINDS:
            (layout.node_state(node.name) / folder).mkdir(mode=0o755, parents=True, exist_ok=True)
        (layout.node_state(node.name) / "pve-cluster").chmod(0o750)
    value = {"version": "3.8", "services": services}
    override_path(layout).write_text(json.dumps(value, indent=2) + "\n")


def _service(layout: Layout, plan: Plan, node: NodePlan) -> dict[str, object]:
    state = layout.node_state(node.name)
    binds = [f"{state / folder}:{target}" for folder, target in BINDS.items()]
    shared = {path for path in os.environ.get(MOUNTS, "").split(":") if path}
    if node.binary is not None:
        shared.add(str(Path(node.binary).parent))
    return {
        "container_name": f"{project(layout.lab)}-{node.name}",
        "environment": {
            "AUTOSTART": "no",
            "BINARY": node.binary or "",
            "LOCAL": "yes" if plan.local else "no",
        },
        "volumes": [*binds, *(f"{path}:{path}" for path in sorted(shared))],
    }
