"""Once all faults have healed, all nodes show the same: trees, views, values and databases."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pmxcfs_lab import trees
from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "equality"


def examine(facts: Facts) -> Finding:
    """See the module."""
    nodes = facts.final.nodes
    examined = sum(len(node.tree) for node in nodes.values())
    found = list(_complaints(facts)) if nodes else []
    return Finding(
        examined, tuple(Violation(NAME, facts.final.t, words, node=name) for name, words in found)
    )


def _complaints(facts: Facts) -> Iterator[tuple[str | None, str]]:
    final = facts.final
    if final.not_settled is not None:
        yield None, f"the nodes do not come to work as one: {final.not_settled}"
    for line in trees.differences({name: node.tree for name, node in final.nodes.items()})[:5]:
        yield None, line
    names = sorted({view for node in final.nodes.values() for view in node.views})
    for view in names:
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
