"""Once all faults have healed, all nodes show the same: trees, views, values and databases.

Published values are no part of the databases. When the daemon of the node that published them ends,
they stay where they were seen, and nobody tells them to those that come later. So they are compared
only if the node's last daemon has published since it was started.
Source: docs/PROTOCOL.md, "Key-value group".
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from pmxcfs_lab import trees
from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.final import VALUES_OF
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "equality"

CLOCK_STEP_S = 1.0
"""Daemons tell the second in which they were started."""


def examine(facts: Facts) -> Finding:
    """See the module."""
    nodes = facts.final.nodes
    examined = sum(len(node.tree) for node in nodes.values())
    excused = {VALUES_OF.format(node=name) for name in nodes if not _tells_its_values(facts, name)}
    found = list(_complaints(facts, excused)) if nodes else []
    violations = tuple(Violation(NAME, facts.final.t, words, node=name) for name, words in found)
    return Finding(examined, violations, len(excused & _views(facts)))


def _tells_its_values(facts: Facts, node: str) -> bool:
    """Whether the node's last daemon has published anything, so that all others know all of it."""
    since_unix_s = facts.final.nodes[node].daemon_since_unix_s
    if since_unix_s is None:
        return True
    since_s = since_unix_s + CLOCK_STEP_S - facts.run.started_unix_s
    return any(
        call.name == "publish" and call.node == node and call.is_ok and call.began_s >= since_s
        for call in facts.calls
    )


def _views(facts: Facts) -> set[str]:
    return {view for node in facts.final.nodes.values() for view in node.views}


def _complaints(facts: Facts, excused: Collection[str]) -> Iterator[tuple[str | None, str]]:
    final = facts.final
    if final.not_settled is not None:
        yield None, f"the nodes do not come to work as one: {final.not_settled}"
    for line in trees.differences({name: node.tree for name, node in final.nodes.items()})[:5]:
        yield None, line
    for view in sorted(_views(facts).difference(excused)):
        shown = {name: node.views.get(view) for name, node in final.nodes.items()}
        yield from _unlike(shown, f"{view} is")
    rows = {name: node.rows for name, node in final.nodes.items()}
    yield from _unlike(rows, "the rows of config.db are")


def _unlike(shown: Mapping[str, str | None], what: str) -> Iterator[tuple[str, str]]:
    """Name the nodes that show something else than most."""
    if shown:
        common, _ = Counter(shown.values()).most_common(1)[0]
        for name, value in shown.items():
            if value != common:
                yield name, f"{what} unlike most nodes': {_short(value)}, not {_short(common)}"


def _short(value: str | None) -> str:
    return "nothing" if value is None else value[:120]
