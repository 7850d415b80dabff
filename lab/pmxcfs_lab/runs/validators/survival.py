"""Nothing is lost that was acknowledged while its node was with the majority, or fsynced.

Every file has one writer. Of its texts, the last one that was promised to last, or a later one,
must be there in the end.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.final import digests
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.history import Call
from pmxcfs_lab.runs.promises import Promises
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "survival"


def examine(facts: Facts) -> Finding:
    """See the module."""
    promises, synced = Promises(facts), _syncs(facts.calls)
    trees = {name: digests(node.tree) for name, node in facts.final.nodes.items()}
    examined, excused, violations = 0, 0, []
    for path, updates in _by_path(facts.calls).items():
        owed = [
            number
            for number, call in enumerate(updates)
            if call.is_ok
            and not promises.works_alone(call.node, call.began_s, call.until_s)
            and (_is_synced(call, synced, promises) or _is_shared(call, promises))
        ]
        excused += sum(call.is_ok for call in updates) - len(owed)
        if owed:
            examined += 1
            last = updates[owed[-1]]
            legal = {_digest(call) for call in updates[owed[-1] :]}
            lost = [name for name, tree in trees.items() if tree.get(path) not in legal]
            if lost:
                how = "fsynced" if _is_synced(last, synced, promises) else "acknowledged"
                violations.append(_violation(last, lost, facts, trees, how))
    return Finding(examined, tuple(violations), excused)


def _by_path(calls: Sequence[Call]) -> Mapping[str, list[Call]]:
    found = defaultdict(list)
    for call in calls:
        if call.name == "update":
            found[call.path].append(call)
    return found


def _syncs(calls: Sequence[Call]) -> Mapping[str, list[Call]]:
    """Return each client's fsyncs that succeeded, in order."""
    found = defaultdict(list)
    for call in calls:
        if call.name == "fsync" and call.is_ok:
            found[call.client].append(call)
    return found


def _is_synced(call: Call, syncs: Mapping[str, list[Call]], promises: Promises) -> bool:
    """Whether an fsync succeeded after a change, while its node surely had it."""
    dropped_s = promises.may_drop_at(call.node, call.began_s, call.until_s)
    return any(
        call.until_s <= sync.began_s and sync.until_s <= dropped_s
        for sync in syncs.get(call.client, ())
    )


def _is_shared(call: Call, promises: Promises) -> bool:
    return promises.is_among_the_others(
        call.node, call.began_s, call.until_s
    ) and promises.outlives_outages(call.until_s)


def _digest(call: Call) -> str:
    return hashlib.sha256(text.content(str(call.value))).hexdigest()


def _violation(
    call: Call,
    lost: Sequence[str],
    facts: Facts,
    trees: Mapping[str, Mapping[str, str]],
    how: str,
) -> Violation:
    kept = [
        f"{name} keeps it in {tree}"
        for name, node in facts.final.nodes.items()
        for tree, files in node.kept.items()
        if files.get(call.path) == _digest(call)
    ]
    there = "another text" if trees[lost[0]].get(call.path) else "nothing"
    words = f"{call.path}: {call.value} was {how}, and {', '.join(lost)} has {there} in the end"
    return Violation(NAME, call.until_s, "; ".join([words, *kept]), node=call.node, op=call.id)
