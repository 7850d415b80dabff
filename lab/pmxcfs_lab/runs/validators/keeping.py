"""What was written on a node alone, and loses when it comes back, is kept beside its database."""

import hashlib

from pmxcfs_lab.runs.facts import Facts, Span
from pmxcfs_lab.runs.final import digests
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "keeping"


def examine(facts: Facts) -> Finding:
    """See the module."""
    examined, violations = 0, []
    for span in facts.spans:
        if span.kind == "edit_alone":
            examined += int(span.fault["files"])
            lost = _lost(facts, span)
            if lost:
                node = str(span.fault["node"])
                words = f"{len(lost)} files written on {node} alone are nowhere: {lost[0]}, ..."
                violations.append(Violation(NAME, span.ended_s, words, node=node))
    return Finding(examined, tuple(violations))


def _lost(facts: Facts, span: Span) -> list[str]:
    node = str(span.fault["node"])
    seen = facts.final.nodes[node]
    trees = [digests(seen.tree), *seen.kept.values()]
    wanted = {
        f"edits-{node}/{number}": hashlib.sha256(f"edit {number}".encode()).hexdigest()
        for number in range(1, int(span.fault["files"]) + 1)
    }
    return [
        path
        for path, digest in wanted.items()
        if not any(tree.get(path) == digest for tree in trees)
    ]
