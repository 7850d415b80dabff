"""A lab as a whole: up and down, services, partitions, waiting, comparing. Knows no provider."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pmxcfs_lab import membership, placing, resizing, seed, settings
from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.disk.client import NodeDisk
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout, existing_labs
from pmxcfs_lab.links.kernel import KernelLinks
from pmxcfs_lab.links.rules import Quality, Rule
from pmxcfs_lab.lock import lab_lock
from pmxcfs_lab.observer import SETTLED_WITHIN_S, Observer
from pmxcfs_lab.options import DEFAULT
from pmxcfs_lab.plan import Plan, parse_groups
from pmxcfs_lab.provider import AS_USUAL, Completed, Groups, Launch, Provider, Say, Service
from pmxcfs_lab.record import LabRecord, Owner, read_record, require_record
from pmxcfs_lab.starting import Starter
from pmxcfs_lab.status import NodeStatus, Tree
from pmxcfs_lab.switch.client import SwitchControl

STOPPED_WITHIN_S = 20.0

ALL = tuple(Service)


def _say_nothing(_line: str) -> None:
    return


class Lab:
    """One lab, running or not.

    Args:
        layout: names the lab and its folders.
        provider: makes its nodes.
        provider_name: written into the record.
        say: takes one line of progress at a time.
    """

    def __init__(
        self, layout: Layout, provider: Provider, provider_name: str, say: Say = _say_nothing
    ) -> None:
        self._layout = layout
        self._provider = provider
        self._provider_name = provider_name
        self._say = say

    @property
    def name(self) -> str:
        """The lab's name."""
        return self._layout.lab

    @property
    def active_faults(self) -> Path:
        """The file that says which faults the lab has now; it ends with the lab's processes."""
        return self._layout.run / "faults.json"

    @property
    def python(self) -> str:
        """The interpreter on a node that has our packages."""
        return self._provider.python

    @property
    def plan(self) -> Plan:
        """What the lab consists of.

        Raises:
            LabError: there is no such lab.
        """
        return require_record(self._layout.record, self.name, existing_labs()).plan

    def up(
        self,
        plan: Plan,
        databases: Mapping[str, Path] | None = None,
        *,
        owner: Owner | None = None,
        within_s: float = SETTLED_WITHIN_S,
    ) -> None:
        """Build the lab, or complete and repair it if it is there, and wait until it has settled.

        Args:
            plan: what it shall consist of.
            databases: config.db to start from, by node; only for a lab that is new.
            owner: who removes the lab in the end, see `LabRecord`.
            within_s: how long it may take to settle after all services were started.

        Raises:
            LabError: the lab exists with another plan, something is missing, or it did not settle.
        """
        databases = databases or {}
        for path in databases.values():
            seed.check_database(path)
        plan = placing.place(plan, self._provider, self._provider_name)
        placing.require_everything(plan, self._provider)
        with lab_lock(self._layout.lock) as guard_fd:
            is_new = self._begin(plan, databases, owner)
            self._provider.up(plan, guard_fd=guard_fd, say=self._say)
            if is_new:
                if plan.options != DEFAULT:
                    settings.configure(self._provider, plan)
                for name in databases:
                    self._starter(plan).mount_disk(name)
                self._seed(plan, databases)
            else:
                self.heal()
            self._starter(plan).start_together()
            self._write_record(plan, owner, is_complete=True)
        self._say("waiting until all nodes agree")
        self._observer().wait(within_s=within_s, give_up_on_exit=True)

    def down(self, *, only_if_orphaned: bool = False) -> bool:
        """Remove the lab with all its data, whatever state it is in; return if there was any.

        Args:
            only_if_orphaned: leave it alone unless it has an owner and the owner is gone.
        """
        with lab_lock(self._layout.lock):
            if only_if_orphaned and not self._is_orphaned():
                return False
            was_there = self._layout.state.exists() or self._layout.run.exists()
            self._remove()
        return was_there

    def start(
        self,
        node: str,
        services: Sequence[Service] = ALL,
        *,
        local: bool = False,
        launch: Launch = AS_USUAL,
    ) -> None:
        """Start services of a node that do not run, corosync first.

        pmxcfs is started as soon as corosync answers, quorate or not, and is not waited for.
        `launch` is how, where that differs from the usual; it needs a single service.
        """
        self.plan.node(node)
        self._starter(self.plan).start(node, services, launch, local=local)

    def start_unattended(self, node: str, service: Service) -> None:
        """Start a service that may end at once; nothing is waited for."""
        self.plan.node(node)
        self._provider.start(node, service)

    def publish_configuration(self, nodes: Sequence[str]) -> None:
        """Give these nodes, who are quorate without the others, corosync.conf one version on."""
        membership.publish(self._provider, self.plan, nodes)

    def copy_configuration(self, from_: str, to: str) -> None:
        """Give a node the corosync.conf and the key that another has."""
        membership.copy(self._provider, from_, to)

    def join(self, node: str) -> None:
        """Add a node to a lab that runs, as an operator does, and wait until all agree.

        Raises:
            LabError: there is one of that name, the provider can't, or the lab is not well.
        """
        before = self.plan
        after = resizing.with_node(before, node)
        placing.require_resizable(self.plan, self._provider)
        self.wait()
        with lab_lock(self._layout.lock) as guard_fd:
            self._provider.up(after, guard_fd=guard_fd, say=self._say)
            resizing.introduce(self._provider, before, after, node)
            self._write_record(after, self._owner(), is_complete=True)
        self.start(node)
        self.wait()

    def remove(self, node: str) -> None:
        """Take a node out of a lab that runs, with its data, and wait until the others agree.

        Raises:
            LabError: it is the last one, the provider can't, or the others are not quorate.
        """
        after = resizing.without_node(self.plan, node)
        placing.require_resizable(self.plan, self._provider)
        self.stop(node)
        self.wait(after.names)
        with lab_lock(self._layout.lock):
            membership.publish(self._provider, after, after.names)
            self._provider.remove(node)
            shutil.rmtree(self._layout.node_state(node), ignore_errors=True)
            self._write_record(after, self._owner(), is_complete=True)
        self.wait()

    def stop(self, node: str, services: Sequence[Service] = ALL) -> None:
        """Stop services of a node cleanly, pmxcfs first."""
        self.plan.node(node)
        for service in reversed(Service):
            if service in services:
                self._provider.stop(node, service, within_s=STOPPED_WITHIN_S)

    def kill(self, node: str, services: Sequence[Service] = ALL) -> None:
        """Kill services of a node at once, as kill -9 does."""
        self.plan.node(node)
        self._provider.kill(node, services)

    def signal(self, node: str, services: Sequence[Service], signal: str) -> None:
        """Send a signal, for example "SIGSTOP", to those of a node's services that run."""
        self.plan.node(node)
        self._provider.signal(node, services, signal)

    def partition(self, *groups: str) -> Groups:
        """Cut the network, for example into ("1,2", "3"); nodes not named stay together."""
        parsed = parse_groups(groups, self.plan.names)
        self._provider.partition(parsed)
        return parsed

    def heal(self) -> None:
        """Make the network whole again, and its links perfect."""
        self._provider.partition((self.plan.names,))
        self._links().clear()

    def shape(self, key: str, rules: Sequence[Rule]) -> None:
        """Have links of this quality, on top of what others ask for by other keys; () ends it."""
        self._links().shape(key, rules)

    def lacks_quality(self, quality: Quality) -> str | None:
        """Return why this lab's links can't be of such a quality, or None."""
        return self._links().lacks(quality)

    def disk(self, node: str) -> NodeDisk:
        """Return a node's disk layer.

        Raises:
            LabError: there is no such node, or the lab has no disk layers.
        """
        self.plan.node(node)
        if not self.plan.options.disk:
            raise LabError(f'Lab "{self.name}" has no disk layers.', "`up --disk`.")
        return NodeDisk(self._provider, node)

    def switch(self) -> SwitchControl:
        """Return the lab's own switch.

        Raises:
            LabError: it has none.
        """
        switch = self._provider.switch()
        if switch is None:
            raise LabError(f'Lab "{self.name}" has no switch of its own.', "`up --switch`.")
        return switch

    def groups(self) -> Groups:
        """Return which nodes reach each other."""
        return self._provider.groups()

    def exec(self, node: str, *argv: str, stdin: bytes = b"", timeout_s: float = 60.0) -> Completed:
        """Run a command on a node and wait for it."""
        self.plan.node(node)
        return self._provider.exec(node, argv, stdin=stdin, timeout_s=timeout_s)

    def attach_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command for this machine that runs argv on the node with our terminal."""
        self.plan.node(node)
        return self._provider.attach_argv(node, argv)

    def logs(self, node: str) -> Mapping[str, Path]:
        """Return the node's log files by name."""
        self.plan.node(node)
        return self._provider.logs(node)

    def statuses(self, nodes: Sequence[str] | None = None) -> list[NodeStatus]:
        """Return one row a node (default: all), with fingerprints that can be compared."""
        return self._observer().statuses(nodes)

    def glances(self) -> list[NodeStatus]:
        """Return one row a node, at once: without fingerprints that take reading all files."""
        return self._observer().glances()

    def wait(
        self,
        nodes: Sequence[str] | None = None,
        *,
        within_s: float = SETTLED_WITHIN_S,
        busy: bool = False,
    ) -> None:
        """Return when these nodes (default: all), and only they, work as one; see `Observer`."""
        self._observer().wait(nodes, within_s=within_s, busy=busy)

    def trees(self, nodes: Sequence[str] | None = None) -> dict[str, Tree]:
        """Return the entries of every node's mount (default: all nodes), by node."""
        return self._observer().trees(nodes)

    def trees_are_equal(
        self, nodes: Sequence[str] | None = None, *, within_s: float = SETTLED_WITHIN_S
    ) -> None:
        """Assert that all entries are the same on these nodes (default: all); see `Observer`."""
        self._observer().trees_are_equal(nodes, within_s=within_s)

    def _links(self) -> SwitchControl | KernelLinks:
        record = self._layout.run / "links.json"
        return self._provider.switch() or KernelLinks(self._provider, self.plan, record)

    def _starter(self, plan: Plan) -> Starter:
        return Starter(self._provider, plan, self._say)

    def _observer(self) -> Observer:
        return Observer(self._provider, self.plan)

    def _owner(self) -> Owner | None:
        record = read_record(self._layout.record)
        return None if record is None else record.owner

    def _begin(self, plan: Plan, databases: Mapping[str, Path], owner: Owner | None) -> bool:
        """Return True if the lab is built from nothing, False if it is there and gets repaired."""
        record = read_record(self._layout.record)
        if record is not None and record.is_complete:
            _require_same(record, plan, databases)
            return False
        if self._layout.state.exists() or self._layout.run.exists():
            self._say("clearing away what an unfinished `up` left")
            self._remove()
        self._write_record(plan, owner, is_complete=False)
        return True

    def _write_record(self, plan: Plan, owner: Owner | None, *, is_complete: bool) -> None:
        LabRecord(plan, self._provider_name, is_complete, owner).write(self._layout.record)

    def _is_orphaned(self) -> bool:
        record = read_record(self._layout.record)
        return record is not None and record.owner is not None and record.owner.is_gone()

    def _remove(self) -> None:
        self._provider.down()
        if self._layout.state.exists():
            shutil.rmtree(self._layout.state)
        with suppress(OSError):
            self._layout.state_root.rmdir()

    def _seed(self, plan: Plan, databases: Mapping[str, Path]) -> None:
        for node, path in databases.items():
            self._say(f"{node} starts from {path}")
            seed.seed(self._provider, node, path, None if plan.local else corosync_conf(plan))


def _require_same(record: LabRecord, plan: Plan, databases: Mapping[str, Path]) -> None:
    again = "`pmxcfs-lab down` removes it; or choose another lab with LAB=name."
    if record.plan != plan:
        raise LabError(
            f'Lab "{plan.lab}" is there already, with {len(record.plan.nodes)} node(s) and maybe '
            "other settings.",
            again,
        )
    if databases:
        raise LabError(
            f'Lab "{plan.lab}" is there already; a database can only start a new one.', again
        )
