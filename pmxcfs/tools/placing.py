"""Which entries form a sound tree, and which have no place in it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.claims import (
    NOWHERE,
    ROOT_NAME,
    VERSION_MAX,
    Claim,
    Claims,
    called,
    name_fault,
)

INODE_MAX = 2**62
"""Larger numbers are taken for damage: they would use up the versions that a tree can have."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """An entry without a place, why, and all that is below it.

    ``reason`` ends a sentence that begins with the entry. ``below`` has no order; the parent of
    each is in it too, or is the misfit itself.
    """

    entry: Entry
    reason: str
    below: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A sound tree, what has no place in it, and what else is not as it is stored, as sentences."""

    tree: Tree
    misfits: tuple[Misfit, ...] = ()
    amendments: tuple[str, ...] = ()


def place(claims: Claims) -> Placement:
    """Make a tree of what rows claim. Nothing is left out or amended of a sound database.

    Of two entries with one number or one place the one with the higher version stays, and one
    whose page is in use before one that is adrift. Rules about guests play no part.
    """
    winners, misfits = _one_for_each_inode(claims.others)
    below = _by_parent(winners.values())
    placed, reasons = _walk(below)
    root, amendments = _root_of(claims.root, placed.values(), winners.values())
    misfits += _misfits_of(winners, below, placed, reasons)
    if claims.root is not None and claims.root.entry.data:
        misfits.append(_content_of(claims.root.entry))
    misfits += [_content_of(entry) for entry in placed.values() if _has_odd_content(entry)]
    tree = Tree(root)
    for entry in placed.values():
        fitting, changes = _fitted(entry, root.version)
        amendments += [*winners[entry.inode].substitutions, *changes]
        tree.put(fitting)
    return Placement(tree, tuple(misfits), tuple(amendments))


def _one_for_each_inode(others: Iterable[Claim]) -> tuple[dict[Inode, Claim], list[Misfit]]:
    winners: dict[Inode, Claim] = {}
    misfits = []
    for claim in sorted(others, key=_rank, reverse=True):
        winner = winners.setdefault(claim.entry.inode, claim)
        if winner is not claim:
            misfits.append(Misfit(claim.entry, f"has the number of {called(winner.entry)}"))
    return winners, misfits


def _by_parent(claims: Iterable[Claim]) -> dict[Inode, list[Claim]]:
    below = defaultdict(list)
    for claim in sorted(claims, key=_rank, reverse=True):
        below[claim.entry.parent].append(claim)
    return dict(below)


def _rank(claim: Claim) -> tuple[bool, int, int]:
    """Return what decides which of two rivals stays; the higher one does."""
    return not claim.is_adrift and not claim.missing_bytes, claim.entry.version, claim.entry.inode


def _walk(below: Mapping[Inode, list[Claim]]) -> tuple[dict[Inode, Entry], dict[Inode, str]]:
    """Return what can be reached from the root, and why some of what is there can't stay."""
    placed: dict[Inode, Entry] = {}
    reasons: dict[Inode, str] = {}
    waiting = [ROOT_INODE]
    while waiting:
        taken: dict[bytes, Entry] = {}
        for claim in below.get(waiting.pop(), ()):
            entry = claim.entry
            if reason := _unfit(claim):
                reasons[entry.inode] = reason
            elif entry.name in taken:
                reasons[entry.inode] = f"has the place of {called(taken[entry.name])}"
            else:
                taken[entry.name] = placed[entry.inode] = entry
        waiting += [entry.inode for entry in taken.values() if entry.is_directory]
    return placed, reasons


def _unfit(claim: Claim) -> str | None:
    entry = claim.entry
    if claim.missing_bytes:
        return f"lacks the last {claim.missing_bytes} bytes of its content"
    if fault := name_fault(entry.name):
        return fault
    if entry.inode > INODE_MAX or entry.version > INODE_MAX:
        return "has an impossible number"
    if entry.size > FILE_SIZE_BYTES_MAX and not entry.is_directory:
        return "is larger than a file can be"
    return None


def _root_of(
    claim: Claim | None, placed: Collection[Entry], known: Iterable[Claim]
) -> tuple[Entry, list[str]]:
    """Return the root for what has been placed, and what of it is not as it is stored.

    Where the version row does not say it, the version is the highest that any row has.
    """
    amendments = list(claim.substitutions) if claim else []
    stored = claim.entry.version if claim else 0
    version = stored if 0 < stored <= VERSION_MAX else 1
    if version != stored or any(entry.inode > version for entry in placed):
        numbers = [max(claim.entry.inode, claim.entry.version) for claim in known]
        version = max([version, *(number for number in numbers if number <= INODE_MAX)])
    if claim is None:
        amendments.append(f"the version row is missing, and made anew with version {version}")
    elif version != stored:
        amendments.append(f"the version of the tree is changed from {stored} to {version}")
    if claim and claim.entry.name != ROOT_NAME:
        amendments.append(f"the row of inode 0 gets the name {ROOT_NAME.decode()} again")
    writer, mtime = (claim.entry.writer, claim.entry.mtime) if claim else (0, 0)
    root = Entry(ROOT_INODE, ROOT_INODE, version, writer, mtime, EntryType.DIRECTORY, b"")
    return root, amendments


def _fitted(entry: Entry, version: int) -> tuple[Entry, list[str]]:
    """Return an entry as it can be in a tree of this version, and what was changed for that."""
    changes = []
    if _has_odd_content(entry):
        entry = replace(entry, size=0, data=b"")
        changes.append(f"{called(entry)} is a directory, and loses its content")
    if entry.version > version:
        changes.append(f"{called(entry)} gets the version {version}, it had {entry.version}")
        entry = replace(entry, version=version)
    return entry, changes


def _has_odd_content(entry: Entry) -> bool:
    return entry.is_directory and bool(entry.data)


def _misfits_of(
    winners: Mapping[Inode, Claim],
    below: Mapping[Inode, list[Claim]],
    placed: Mapping[Inode, Entry],
    reasons: Mapping[Inode, str],
) -> list[Misfit]:
    """Return what has not been placed, grouped under entries that have no parent among them."""
    left = {inode: claim.entry for inode, claim in winners.items() if inode not in placed}
    missing = {entry.parent for entry in left.values()} - winners.keys() - {ROOT_INODE, NOWHERE}
    results = [
        Misfit(top, "is missing", _take_below(top, below, left))
        for top in map(_missing_directory, sorted(missing))
    ]
    misfits = []
    for inode in sorted(left):
        reason = reasons.get(inode) or _reason_of(left[inode], winners)
        if reason is not None:
            misfits.append((left[inode], reason))
    for top, _ in misfits:
        left.pop(top.inode)
    results += [Misfit(top, reason, _take_below(top, below, left)) for top, reason in misfits]
    while left:
        top = left.pop(_lowest_of_a_ring(left))
        results.append(Misfit(top, "is in itself", _take_below(top, below, left)))
    return results


def _reason_of(entry: Entry, winners: Mapping[Inode, Claim]) -> str | None:
    parent = winners.get(entry.parent)
    if parent is None:
        return "is in no directory at all"
    if not parent.entry.is_directory:
        return f"is in a file instead of a directory: {called(parent.entry)}"
    return None


def _missing_directory(inode: Inode) -> Entry:
    """Return something to hold what a directory without a row had in it."""
    return Entry(inode, NOWHERE, 0, 0, 0, EntryType.DIRECTORY, b"missing-directory")


def _take_below(
    top: Entry, below: Mapping[Inode, list[Claim]], left: dict[Inode, Entry]
) -> tuple[Entry, ...]:
    """Take what is below an entry out of what is left, and return it."""
    taken = []
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        if not directory.is_directory:
            continue
        for claim in below.get(directory.inode, ()):
            if left.pop(claim.entry.inode, None) is not None:
                taken.append(claim.entry)
                waiting.append(claim.entry)
    return tuple(taken)


def _lowest_of_a_ring(left: Mapping[Inode, Entry]) -> Inode:
    """Return an entry that is its own ancestor; all that are left hang below such entries."""
    inode = next(iter(left))
    trail: dict[Inode, None] = {}
    while inode not in trail:
        trail[inode] = None
        inode = left[inode].parent
    numbers = list(trail)
    return min(numbers[numbers.index(inode) :])


def _content_of(entry: Entry) -> Misfit:
    content = replace(entry, type=EntryType.FILE)
    return Misfit(content, "is a directory and had this as its content")
