"""Processes of a lab's services, and stopping them with SIGSTOP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service


def pid_of(lab: Lab, node: str, service: Service) -> int:
    """Return a service's process id on its node; the test fails if it does not run."""
    seen = lab._provider.probe(node, with_tree=False)
    services = cast("dict[str, dict[str, int | None]]", seen["services"])
    pid = services[service]["pid"]
    assert pid is not None, f"{service} does not run on {node}"
    return pid


@contextmanager
def stopped(lab: Lab, node: str, service: Service) -> Iterator[None]:
    """Stop a service with SIGSTOP for as long as the block lasts."""
    pid = str(pid_of(lab, node, service))
    lab.exec(node, "kill", "-STOP", pid)
    try:
        yield
    finally:
        lab.exec(node, "kill", "-CONT", pid)
