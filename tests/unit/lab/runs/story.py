"""Runs made up by hand: a few calls, faults and looks, and what the nodes show in the end."""

import hashlib
from collections.abc import Mapping
from typing import Any

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.facts import Facts, Span
from pmxcfs_lab.runs.final import Exit, Final, NodeAtTheEnd
from pmxcfs_lab.runs.folder import Observation, Run, Violation
from pmxcfs_lab.runs.history import Call, Outcome
from pmxcfs_lab.runs.validators.catalogue import BY_NAME
from pmxcfs_lab.runs.validators.finding import Finding

END_S = 300.0


class Story:
    """What happened in a run of three nodes; times are in seconds."""

    def __init__(self) -> None:
        self.names = ("node1", "node2", "node3")
        self.calls: list[Call] = []
        self.spans: list[Span] = []
        self.looks: list[Observation] = []
        self.exits: list[Exit] = []
        self.trees: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.names}
        self.views: dict[str, dict[str, str]] = {name: {} for name in self.names}
        self.daemons_since: dict[str, float] = {}
        self.rows: dict[str, str | None] = dict.fromkeys(self.names, "same")
        self.kept: dict[str, dict[str, dict[str, str]]] = {}
        self.logs: dict[str, dict[str, str]] = {name: {} for name in self.names}
        self.binaries: dict[str, str | None] = {}
        self.not_settled: str | None = None

    def call(
        self,
        name: str,
        path: str,
        began_s: float,
        ended_s: float | None,
        *,
        client: str = "c1",
        node: str = "node1",
        outcome: Outcome = "ok",
        value: str | None = None,
        errno: str | None = None,
    ) -> None:
        number = len(self.calls)
        self.calls.append(
            Call(number, client, node, name, path, began_s, ended_s, outcome, errno, value)
        )

    def update(self, number: int, began_s: float, outcome: Outcome = "ok") -> str:
        """Have a file updated; return the token of its text."""
        token = text.token("c1", number, 3)
        self.call("update", "f", began_s, began_s + 0.1, value=token, outcome=outcome)
        return token

    def read(self, token: str, began_s: float, client: str = "r1", node: str = "node2") -> None:
        self.call("read", "f", began_s, began_s + 0.01, client=client, node=node, value=token)

    def fault(self, began_s: float, ended_s: float, name: str, **fields: object) -> None:
        self.spans.append(Span({"name": name, **fields}, began_s, ended_s))

    def look(self, t: float, node: str, *, quorate: bool = True, sync: str = "synced") -> None:
        up = {"corosync": True, "pmxcfs": True}
        self.looks.append(Observation(t, node, (1, 2, 3), quorate, sync, 1, 1, up))

    def ends_with(self, token: str, *nodes: str) -> None:
        """Have the file end with this text, on these nodes or on all."""
        digest = hashlib.sha256(text.content(token)).hexdigest()
        for name in nodes or self.names:
            self.trees[name]["f"] = {"sha256": digest}

    def facts(self) -> Facts:
        nodes = {
            name: NodeAtTheEnd(
                self.trees[name],
                self.views[name],
                self.daemons_since.get(name),
                self.rows[name],
                self.kept.get(name, {}),
            )
            for name in self.names
        }
        run = Run(1, self.names, "namespaces", "", 0.0, self.binaries, duration_s=END_S)
        final = Final(END_S, nodes, tuple(self.exits), self.not_settled)
        calls = sorted(self.calls, key=lambda call: call.began_s)
        logs: Mapping[str, Mapping[str, str]] = self.logs
        return Facts(run, calls, self.looks, self.spans, final, logs)

    def finding(self, validator: str) -> Finding:
        return BY_NAME[validator].examine(self.facts())

    def violations(self, validator: str) -> tuple[Violation, ...]:
        return self.finding(validator).violations

    def complaint(self, validator: str) -> str:
        """Return the text of the only violation."""
        (violation,) = self.violations(validator)
        return violation.text
