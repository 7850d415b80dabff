"""Starting the services of nodes in the right order, with what must be there before them."""

from collections.abc import Sequence

from pmxcfs_lab import qdevice
from pmxcfs_lab.disk.client import NodeDisk
from pmxcfs_lab.observer import Observer
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Launch, Provider, Say, Service


class Starter:
    """Starts what does not run.

    Args:
        provider: has the nodes.
        plan: of the lab.
        say: takes progress.
    """

    def __init__(self, provider: Provider, plan: Plan, say: Say) -> None:
        self._provider = provider
        self._plan = plan
        self._say = say
        self._observer = Observer(provider, plan)

    def start(self, node: str, services: Sequence[Service], launch: Launch, *, local: bool) -> None:
        """Start services of one node; see `Lab.start`."""
        if Service.COROSYNC in services and not self._plan.local:
            self._provider.start(node, Service.COROSYNC, launch=launch)
            self._observer.wait_for_corosync([node], must_be_quorate=False)
            if self._plan.options.qdevice:
                qdevice.start_device(self._provider, node)
        if Service.PMXCFS in services:
            self.mount_disk(node)
            self._provider.start(
                node, Service.PMXCFS, local=local or self._plan.local, launch=launch
            )

    def start_together(self) -> None:
        """Start everything everywhere: corosync, until it is quorate, then pmxcfs."""
        if not self._plan.local:
            self._start_corosyncs()
        self._say("starting pmxcfs")
        for name in self._plan.names:
            self.mount_disk(name)
            self._provider.start(name, Service.PMXCFS, local=self._plan.local)

    def mount_disk(self, node: str) -> None:
        """Have the disk layer under the node's database, if this lab has such layers."""
        if self._plan.options.disk:
            NodeDisk(self._provider, node).mount()

    def _start_corosyncs(self) -> None:
        self._say("starting corosync")
        for name in self._plan.names:
            self._provider.start(name, Service.COROSYNC)
        self._observer.wait_for_corosync(self._plan.names, must_be_quorate=True)
        if self._plan.options.qdevice:
            self._say("starting the quorum device")
            qdevice.start_witness(self._provider)
            for name in self._plan.names:
                qdevice.start_device(self._provider, name)
