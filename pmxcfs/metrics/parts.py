"""The parts of a daemon that metrics are read from; knows nothing of how they are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pmxcfs.driver import Driver
from pmxcfs.durable_driver import DurableDriver
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.rrd.writer import RrdWriter
from pmxcfs.status_driver import StatusDriver
from pmxcfs.tallies import Requests, Traffic
from pmxcfs.upkeep import Upkeep


@runtime_checkable
class Carrier(Protocol):
    """A group that counts what it carries."""

    @property
    def traffic(self) -> Traffic:
        """What it has carried so far."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is read when somebody asks.

    Attributes:
        durable: what fsync waits for in a cluster; None if it never does.
        ipc: counts of requests to the IPC service.
        ipc_remembered: how many the porter answered by itself, by the name of the request.
    """

    driver: Driver
    status: StatusDriver
    durable: DurableDriver | None
    operations: PmxcfsOperations
    upkeep: Upkeep
    rrd: RrdWriter
    ipc: Requests
    ipc_remembered: Callable[[], Mapping[str, int]]

    def traffic(self) -> dict[str, Traffic]:
        """Return what the groups have carried, by their names; nothing in standalone mode."""
        groups: dict[str, object] = {"tree": self.driver.group, "status": self.status.group}
        if self.durable is not None:
            groups["durable"] = self.durable.group
        return {name: each.traffic for name, each in groups.items() if isinstance(each, Carrier)}
