"""Looking at all nodes of a lab at once: status, waiting until they agree, comparing trees."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from pmxcfs_lab import status, trees
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Provider, Service

SETTLED_WITHIN_S = 60.0
"""Healing a split took corosync 33 s once; usually all is done in 3."""

COROSYNC_WITHIN_S = 30.0
POLL_S = 0.1
TREES_POLL_S = 0.5

Probe = Mapping[str, object] | None
"""What `Provider.probe` returned; None for a node that gave no answer."""


class Observer:
    """Sees the nodes of a plan through their provider; changes nothing."""

    def __init__(self, provider: Provider, plan: Plan) -> None:
        self._provider = provider
        self._plan = plan

    def statuses(self, nodes: Sequence[str] | None = None) -> list[status.NodeStatus]:
        """Return one row a node (default: all), with fingerprints that can be compared."""
        names = self._names(nodes)
        rows = self._rows(names, with_tree=False)
        if any(self._has_no_checksum(row) for row in rows):
            return self._rows(names, with_tree=True)
        return rows

    def glances(self) -> list[status.NodeStatus]:
        """Return one row a node; another daemon's has no fingerprint, which takes long."""
        return self._rows(self._plan.names, with_tree=False)

    def _has_no_checksum(self, row: status.NodeStatus) -> bool:
        """Whether only reading all files tells what a node has, which can take many seconds.

        A daemon of ours that does not tell its checksum yet will in a moment.
        """
        is_another = self._plan.node(row.name).binary is not None
        return is_another and row.pmxcfs == "up" and row.fingerprint is None

    def wait(
        self,
        nodes: Sequence[str] | None = None,
        *,
        within_s: float = SETTLED_WITHIN_S,
        give_up_on_exit: bool = False,
        busy: bool = False,
    ) -> None:
        """Return when these nodes (default: all) are quorate, in sync and equal, by themselves.

        Args:
            nodes: their names.
            within_s: how long it may take.
            give_up_on_exit: fail at once if a daemon has ended: nobody will start it again.
            busy: somebody writes meanwhile, so they need not be equal.

        Raises:
            LabError: they are not within `within_s`; the message names what is missing.
        """
        together = self._names(nodes)

        def reason() -> str | None:
            rows = self.statuses(together)
            if give_up_on_exit:
                _require_all_running(rows)
            return status.why_not_settled(rows, together, local=self._plan.local, busy=busy)

        _wait_while(reason, within_s, "The lab has not settled")

    def wait_for_corosync(self, names: Sequence[str], *, must_be_quorate: bool) -> None:
        """Return when corosync answers on these nodes, and is quorate if told.

        Raises:
            LabError: it does not within COROSYNC_WITHIN_S.
        """

        def reason() -> str | None:
            probes = self._probes(names, with_tree=False)
            verdicts = (_why_not_running(name, probes[name], must_be_quorate) for name in names)
            return next((verdict for verdict in verdicts if verdict is not None), None)

        _wait_while(reason, COROSYNC_WITHIN_S, "corosync did not start")

    def trees(self, nodes: Sequence[str] | None = None) -> dict[str, status.Tree]:
        """Return the entries of every node's mount (default: all nodes), by node.

        Raises:
            AssertionError: a node has nothing mounted or gives no answer.
        """
        found: dict[str, status.Tree] = {}
        for name, seen in self._probes(self._names(nodes), with_tree=True).items():
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
        names = self._names(nodes)

        def check() -> None:
            lines = trees.differences(self.trees(names))
            assert not lines, trees.describe(lines)
            rows = self._rows(names, with_tree=False)
            checksums = {row.fingerprint for row in rows if row.fingerprint_kind == "checksum"}
            assert len(checksums) <= 1, f"checksums differ: {sorted(map(str, checksums))}"

        eventually(check, within_s=within_s, every_s=TREES_POLL_S)

    def _names(self, nodes: Sequence[str] | None) -> tuple[str, ...]:
        return self._plan.names if nodes is None else tuple(nodes)

    def _rows(self, names: Sequence[str], *, with_tree: bool) -> list[status.NodeStatus]:
        probes = self._probes(names, with_tree=with_tree)
        return [status.read_probe(name, seen) for name, seen in probes.items()]

    def _probes(self, names: Sequence[str], *, with_tree: bool) -> dict[str, Probe]:
        """Look at all nodes at once: one that hangs must not delay the others."""

        def probe(name: str) -> Probe:
            try:
                return self._provider.probe(name, with_tree=with_tree)
            except LabError:
                return None

        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            return dict(zip(names, pool.map(probe, names), strict=True))


def _require_all_running(rows: Sequence[status.NodeStatus]) -> None:
    for row in rows:
        for service, word in ((Service.COROSYNC, row.corosync), (Service.PMXCFS, row.pmxcfs)):
            if word.startswith(status.EXITED):
                raise LabError(
                    f"{row.name}: {service} {word}.",
                    f"`pmxcfs-lab logs {row.name}` shows what it said.",
                )


def _why_not_running(name: str, seen: Probe, must_be_quorate: bool) -> str | None:
    if seen is None:
        return f"{name} gives no answer"
    corosync = cast("Mapping[str, object] | None", seen["corosync"])
    if corosync is None:
        return f"{name}: corosync does not answer"
    if must_be_quorate and not corosync["quorate"]:
        return f"{name}: corosync is not quorate"
    return None


def _wait_while(reason: Callable[[], str | None], within_s: float, complaint: str) -> None:
    deadline_s = time.monotonic() + within_s
    while (why := reason()) is not None:
        if time.monotonic() > deadline_s:
            raise LabError(
                f"{complaint} within {within_s:g} s: {why}.",
                "`pmxcfs-lab status` and `pmxcfs-lab logs NODE` show more.",
            )
        time.sleep(POLL_S)
