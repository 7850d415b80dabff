"""A provider that only writes down what it is asked; its nodes exist on paper."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pmxcfs_lab.plan import NETWORK, Plan, make_plan
from pmxcfs_lab.provider import AS_USUAL, Capability, Completed, Groups, Launch, Say, Service
from pmxcfs_lab.switch.client import SwitchControl

PLAN = make_plan("lab", 2)


class PaperNodes:
    """Every service that was started serves at once."""

    nodes_max = 5
    offset = 0
    capabilities: frozenset[Capability] = frozenset()
    network = NETWORK
    python = "python3"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lacking: list[tuple[str, str]] = []
        self.serving: set[tuple[str, Service]] = set()
        self.exits: set[str] = set()

    def missing(self) -> Sequence[tuple[str, str]]:
        return self.lacking

    def up(self, plan: Plan, *, guard_fd: int, say: Say) -> None:
        self.asked.append(f"up {' '.join(plan.names)}")
        say(f"making {len(plan.nodes)} nodes")

    def down(self) -> bool:
        self.asked.append("down")
        return True

    def remove(self, node: str) -> None:
        self.asked.append(f"remove {node}")

    def running(self) -> tuple[str, ...]:
        return PLAN.names

    def exec(
        self, node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        self.asked.append(f"exec {node} {argv[-1][:30]}")
        return Completed(0, b"", b"")

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        return ["enter", node, *argv]

    def start(
        self, node: str, service: Service, *, local: bool = False, launch: Launch = AS_USUAL
    ) -> None:
        how = "" if launch == AS_USUAL else f" {launch.program} {dict(launch.environment)}"
        self.asked.append(f"start {node} {service}{' -l' if local else ''}{how}")
        if node not in self.exits:
            self.serving.add((node, service))

    def stop(self, node: str, service: Service, *, within_s: float) -> None:
        self.asked.append(f"stop {node} {service}")
        self.serving.discard((node, service))

    def kill(self, node: str, services: Sequence[Service]) -> None:
        self.asked.append(f"kill {node} {' '.join(services)}")

    def signal(self, node: str, services: Sequence[Service], signal: str) -> None:
        self.asked.append(f"{signal} {node} {' '.join(services)}")

    def partition(self, groups: Groups) -> None:
        self.asked.append(f"partition {groups}")

    def groups(self) -> Groups:
        return (PLAN.names,)

    def switch(self) -> SwitchControl | None:
        return None

    def probe(self, node: str, *, with_tree: bool) -> Mapping[str, object]:
        def state(service: Service) -> dict[str, int | None]:
            if (node, service) in self.serving:
                return {"pid": 5, "exit_status": None}
            return {"pid": None, "exit_status": 255 if node in self.exits else None}

        is_mounted = (node, Service.PMXCFS) in self.serving
        members = [{"node_id": n, "name": f"node{n}"} for n in (1, 2)]
        daemon = {
            "quorate": True,
            "members": members,
            "sync": "synced",
            "tree_version": 3,
            "tree_checksum": "abc",
        }
        return {
            "services": {service: state(service) for service in Service},
            "corosync": {"quorate": True, "members": [1, 2]},
            "mount": {"quorate": True, "members": {}} if is_mounted else None,
            "daemon": daemon if is_mounted else None,
            "tree": {},
        }

    def logs(self, node: str) -> Mapping[str, Path]:
        return {}
