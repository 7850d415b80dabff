"""A lab as a whole: up and down, services, partitions, waiting, comparing. Knows no provider."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import cast

from pmxcfs_lab import seed, status, trees
from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.layout import Layout, existing_labs
from pmxcfs_lab.lock import lab_lock
from pmxcfs_lab.plan import Plan, parse_groups
from pmxcfs_lab.provider import Completed, Groups, Provider, Say, Service
from pmxcfs_lab.record import LabRecord, Owner, read_record, require_record

SETTLED_WITHIN_S = 60.0
"""Healing a split took corosync 33 s once; usually all is done in 3."""

COROSYNC_WITHIN_S = 30.0
STOPPED_WITHIN_S = 20.0
POLL_S = 0.1
TREES_POLL_S = 0.5

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
        self._require_everything()
        with lab_lock(self._layout.lock) as guard_fd:
            is_new = self._begin(plan, databases, owner)
            self._provider.up(plan, guard_fd=guard_fd, say=self._say)
            if is_new:
                self._seed(plan, databases)
            else:
                self._provider.partition((plan.names,))
            self._start_together(plan)
            self._write_record(plan, owner, is_complete=True)
        self._say("waiting until all nodes agree")
        self.wait(within_s=within_s)

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

    def start(self, node: str, services: Sequence[Service] = ALL, *, local: bool = False) -> None:
        """Start services of a node that do not run, corosync first.

        pmxcfs is started as soon as corosync answers, quorate or not, and is not waited for.
        """
        self.plan.node(node)
        if Service.COROSYNC in services and not self.plan.local:
            self._provider.start(node, Service.COROSYNC)
            self._await_corosync([node], must_be_quorate=False)
        if Service.PMXCFS in services:
            self._provider.start(node, Service.PMXCFS, local=local or self.plan.local)

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

    def partition(self, *groups: str) -> Groups:
        """Cut the network, for example into ("1,2", "3"); nodes not named stay together."""
        parsed = parse_groups(groups, self.plan.names)
        self._provider.partition(parsed)
        return parsed

    def heal(self) -> None:
        """Make the network whole again."""
        self._provider.partition((self.plan.names,))

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

    def statuses(self, nodes: Sequence[str] | None = None) -> list[status.NodeStatus]:
        """Return one row a node (default: all), with fingerprints that can be compared."""
        names = self.plan.names if nodes is None else tuple(nodes)
        rows = self._rows(names, with_tree=False)
        if status.has_one_fingerprint_kind(rows):
            return rows
        return self._rows(names, with_tree=True)

    def wait(
        self, nodes: Sequence[str] | None = None, *, within_s: float = SETTLED_WITHIN_S
    ) -> None:
        """Return when these nodes (default: all) are quorate, in sync and equal, by themselves.

        Raises:
            LabError: they are not within `within_s`; the message names what is missing.
        """
        plan = self.plan
        together = plan.names if nodes is None else tuple(nodes)

        def reason() -> str | None:
            return status.why_not_settled(self.statuses(together), together, local=plan.local)

        self._wait_while(reason, within_s, "The lab has not settled")

    def trees(self, nodes: Sequence[str] | None = None) -> dict[str, status.Tree]:
        """Return the entries of every node's mount (default: all nodes), by node.

        Raises:
            AssertionError: a node has nothing mounted or gives no answer.
        """
        names = self.plan.names if nodes is None else tuple(nodes)
        found: dict[str, status.Tree] = {}
        for name, seen in self._probes(names, with_tree=True).items():
            assert seen is not None, f"{name} gives no answer"
            assert seen["tree"] is not None, f"{name} has nothing mounted"
            found[name] = cast("status.Tree", seen["tree"])
        return found

    def trees_are_equal(
        self, nodes: Sequence[str] | None = None, *, within_s: float = SETTLED_WITHIN_S
    ) -> None:
        """Assert that all entries are the same on these nodes (default: all) within some time.

        Compared are mode, owner, size, time and content of every entry as the mount shows it, and
        our daemons' own checksums.

        Raises:
            AssertionError: they differ; the message lists the first differences.
        """
        names = self.plan.names if nodes is None else tuple(nodes)

        def check() -> None:
            lines = trees.differences(self.trees(names))
            assert not lines, trees.describe(lines)
            rows = self._rows(names, with_tree=False)
            checksums = {row.fingerprint for row in rows if row.fingerprint_kind == "checksum"}
            assert len(checksums) <= 1, f"checksums differ: {sorted(map(str, checksums))}"

        eventually(check, within_s=within_s, every_s=TREES_POLL_S)

    def _require_everything(self) -> None:
        lacking = self._provider.missing()
        if lacking:
            lines = [f"{what}: {advice}" for what, advice in lacking]
            raise LabError("This machine lacks what a lab needs.", "\n".join(lines))

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
        record = LabRecord(plan, self._provider_name, is_complete, owner)
        record.write(self._layout.record)

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

    def _start_together(self, plan: Plan) -> None:
        if not plan.local:
            self._say("starting corosync")
            for name in plan.names:
                self._provider.start(name, Service.COROSYNC)
            self._await_corosync(plan.names, must_be_quorate=True)
        self._say("starting pmxcfs")
        for name in plan.names:
            self._provider.start(name, Service.PMXCFS, local=plan.local)

    def _await_corosync(self, names: Sequence[str], *, must_be_quorate: bool) -> None:
        def reason() -> str | None:
            for name, seen in self._probes(names, with_tree=False).items():
                if seen is None:
                    return f"{name} gives no answer"
                corosync = cast("Mapping[str, object] | None", seen["corosync"])
                if corosync is None:
                    return f"{name}: corosync does not answer"
                if must_be_quorate and not corosync["quorate"]:
                    return f"{name}: corosync is not quorate"
            return None

        self._wait_while(reason, COROSYNC_WITHIN_S, "corosync did not start")

    def _wait_while(
        self, reason: Callable[[], str | None], within_s: float, complaint: str
    ) -> None:
        deadline_s = time.monotonic() + within_s
        while (why := reason()) is not None:
            if time.monotonic() > deadline_s:
                raise LabError(
                    f"{complaint} within {within_s:g} s: {why}.",
                    "`pmxcfs-lab status` and `pmxcfs-lab logs NODE` show more.",
                )
            time.sleep(POLL_S)

    def _rows(self, names: Sequence[str], *, with_tree: bool) -> list[status.NodeStatus]:
        probes = self._probes(names, with_tree=with_tree)
        return [status.read_probe(name, seen) for name, seen in probes.items()]

    def _probes(
        self, names: Sequence[str], *, with_tree: bool
    ) -> dict[str, Mapping[str, object] | None]:
        """Look at all nodes at once: one that hangs must not delay the others."""

        def probe(name: str) -> Mapping[str, object] | None:
            try:
                return self._provider.probe(name, with_tree=with_tree)
            except LabError:
                return None

        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            return dict(zip(names, pool.map(probe, names), strict=True))


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
