"""Comparing the trees of several nodes, entry by entry."""

from collections.abc import Mapping

from pmxcfs_lab.status import Tree

DIFFERENCES_SHOWN_MAX = 10


def differences(tree_of: Mapping[str, Tree]) -> list[str]:
    """Return one line for each entry that is not the same everywhere; empty if all are equal.

    Args:
        tree_of: entries by path, by node; at least one node.
    """
    (first, expected), *others = tree_of.items()
    lines = []
    for name, tree in others:
        for path in sorted(expected.keys() | tree.keys()):
            ours, theirs = expected.get(path), tree.get(path)
            if ours != theirs:
                here, there = _shown(ours, theirs), _shown(theirs, ours)
                lines.append(f"{path}: {first} {here}, {name} {there}")
    return lines


def describe(lines: list[str]) -> str:
    """Return the first differences and how many more there are."""
    shown = lines[:DIFFERENCES_SHOWN_MAX]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} more")
    return "\n".join(shown)


def _shown(entry: Mapping[str, object] | None, other: Mapping[str, object] | None) -> str:
    """Name what is special about an entry, compared with the other one."""
    if entry is None:
        return "has none"
    if other is None:
        return "has it"
    special = {key: value for key, value in entry.items() if other.get(key) != value}
    return " ".join(f"{key}={value}" for key, value in special.items())
