"""Processes of a lab's services: finding them, ending them, stopping them with SIGSTOP."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import ALL, Lab
from pmxcfs_lab.provider import Service


def pid_of(lab: Lab, node: str, service: Service) -> int:
    """Return a service's process id on its node; the test fails if it does not run."""
    seen = lab._provider.probe(node, with_tree=False)
    services = cast("dict[str, dict[str, int | None]]", seen["services"])
    pid = services[service]["pid"]
    assert pid is not None, f"{service} does not run on {node}"
    return pid


def end(lab: Lab, node: str, services: Sequence[Service] = ALL) -> None:
    """Stop services of a node cleanly, pmxcfs first.

    The reference does not always end (docs/MIXED.md); it is killed then, as its service manager
    does. Ours has to end.
    """
    try:
        lab.stop(node, services)
    except LabError:
        if lab.plan.node(node).binary is None:
            raise
        lab.kill(node, [Service.PMXCFS])
        lab.stop(node, services)


@contextmanager
def stopped(lab: Lab, node: str, service: Service) -> Iterator[None]:
    """Stop a service with SIGSTOP for as long as the block lasts."""
    pid = str(pid_of(lab, node, service))
    lab.exec(node, "kill", "-STOP", pid)
    try:
        yield
    finally:
        lab.exec(node, "kill", "-CONT", pid)
