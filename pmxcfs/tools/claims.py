"""What each row claims to be: an entry, with every value that does not fit named and replaced."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.tools.contents import Row, Stored
from pmxcfs.tools.problems import Kind, Problem, Severity, printable

ROOT_NAME = b"__version__"
NOWHERE = Inode(2**64 - 1)
"""The parent of an entry whose row names none."""

VERSION_MAX = 2**63 - 1
"""SQLite's largest number; the version of a tree can't be larger."""

_U64, _U32, _U8 = 2**64 - 1, 2**32 - 1, 2**8 - 1


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry as its row describes it, and which values had to be replaced, as sentences."""

    entry: Entry
    problems: tuple[Problem, ...] = ()
    substitutions: tuple[str, ...] = ()
    is_adrift: bool = False
    missing_bytes: int = 0

    @property
    def place(self) -> tuple[Inode, bytes]:
        """The directory and the name in it."""
        return self.entry.parent, self.entry.name


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims of a database.

    Attributes:
        root: the claim of the row with inode 0; None if there is none.
        others: by ascending inode; one inode may be claimed more than once.
        problems: of single rows, whatever they say about each other.
    """

    root: Claim | None
    others: tuple[Claim, ...]

    @property
    def problems(self) -> Iterator[Problem]:
        """What is wrong with single rows, in their order."""
        for claim in ([self.root] if self.root else []) + list(self.others):
            yield from claim.problems


def claims_of(rows: Iterable[Row]) -> Claims:
    """Return what the rows claim."""
    rows = list(rows)
    parents = {row.parent for row in rows}
    claims = [_claim_of(row, is_parent=row.inode in parents) for row in rows]
    roots = [claim for claim in claims if claim.entry.inode == ROOT_INODE]
    root = max(roots, key=lambda claim: (not claim.is_adrift, claim.entry.version), default=None)
    others = [claim for claim in claims if claim.entry.inode != ROOT_INODE]
    version = root.entry.version if root and 0 < root.entry.version <= VERSION_MAX else None
    checked = [_checked(claim, version) for claim in others]
    return Claims(_checked_root(root) if root else None, tuple(checked))


def called(entry: Entry) -> str:
    """Return how a sentence names an entry."""
    return f"inode {entry.inode} ('{printable(entry.name)}')"


def _claim_of(row: Row, *, is_parent: bool) -> Claim:
    data = row.data or b""
    entry = Entry(
        Inode(_number(row.inode, 0) & _U64),
        Inode(_number(row.parent, NOWHERE) & _U64),
        _number(row.version, 0) & _U64,
        _number(row.writer, 0) & _U32,
        _number(row.mtime, 0) & _U32,
        _type_of(row, is_parent=is_parent),
        row.name or b"",
        len(data),
        data,
    )
    problems = (*_number_problems(row, entry), *_type_problems(row, entry))
    return Claim(entry, problems, _substitutions(row, entry), row.is_adrift, row.missing_bytes)


def _type_of(row: Row, *, is_parent: bool) -> EntryType:
    number = _number(row.type, 0) & _U8
    if number in tuple(EntryType):
        return EntryType(number)
    return EntryType.DIRECTORY if is_parent else EntryType.FILE


def _number_problems(row: Row, entry: Entry) -> Iterator[Problem]:
    for column in ("parent", "version", "writer", "mtime", "type"):
        value, limit = getattr(row, column), _limit_of(column)
        if not isinstance(value, int):
            sentence = f"{called(entry)} has no number as its {column}, but {_shown(value)}"
            yield _refused(Kind.WRONG_TYPE, sentence, entry)
        elif limit is not None and not 0 <= value <= limit:
            sentence = f"{called(entry)} has {value} as its {column}, of which {limit:#x} is used"
            yield Problem(Kind.OUT_OF_RANGE, Severity.WARNING, sentence, entry.inode)


def _type_problems(row: Row, entry: Entry) -> Iterator[Problem]:
    if _number(row.type, 0) & _U8 not in tuple(EntryType):
        sentence = f"{called(entry)} is neither a file (8) nor a directory (4), but {row.type!r}"
        yield _refused(Kind.UNKNOWN_TYPE, sentence, entry)


def _substitutions(row: Row, entry: Entry) -> tuple[str, ...]:
    """Return which values of a row an entry can't have, and what it has instead."""
    sentences = [
        f"{called(entry)} gets {getattr(entry, column)} as its {column} instead of {_shown(value)}"
        for column in ("version", "writer", "mtime")
        if not isinstance(value := getattr(row, column), int)
    ]
    if not isinstance(row.type, int) or row.type & _U8 != entry.type:
        kind = "directory" if entry.is_directory else "file"
        sentences.append(f"{called(entry)} becomes a {kind}")
    return tuple(sentences)


def _checked_root(claim: Claim) -> Claim:
    entry, problems = claim.entry, list(claim.problems)
    if entry.name != ROOT_NAME:
        sentence = f"the version row (inode 0) is called '{printable(entry.name)}'"
        problems.append(_refused(Kind.VERSION_ROW, sentence, entry))
    if entry.data:
        sentence = f"the version row (inode 0) has content, {entry.size} bytes"
        problems.append(_refused(Kind.VERSION_ROW, sentence, entry))
    if not 0 < entry.version <= VERSION_MAX:
        sentence = f"the version of the tree is impossible: {entry.version}"
        problems.append(_refused(Kind.VERSION_ROW, sentence, entry))
    root = replace(entry, parent=ROOT_INODE, type=EntryType.DIRECTORY)
    return replace(claim, entry=root, problems=tuple(problems))


def _checked(claim: Claim, version: int | None) -> Claim:
    """Add what can be said about an entry from itself and the version of the tree."""
    entry, who, problems = claim.entry, called(claim.entry), list(claim.problems)
    if claim.is_adrift:
        sentence = f"{who} is in a place that nothing refers to"
        problems.append(_refused(Kind.CUT_OFF, sentence, entry))
    if claim.missing_bytes:
        sentence = f"{who} lacks the last {claim.missing_bytes} bytes of its content"
        problems.append(_refused(Kind.CUT_OFF, sentence, entry))
    if fault := name_fault(entry.name):
        is_tolerated = entry.name in (b".", b"..")
        severity = Severity.WRONG if is_tolerated else Severity.REFUSED
        problems.append(Problem(Kind.BAD_NAME, severity, f"{who} {fault}", entry.inode))
    if entry.is_directory and entry.data:
        sentence = f"{who} is a directory and has content, {entry.size} bytes"
        problems.append(_refused(Kind.DIRECTORY_WITH_CONTENT, sentence, entry))
    elif entry.size > FILE_SIZE_BYTES_MAX:
        sentence = f"{who} has {entry.size} bytes, more than the {FILE_SIZE_BYTES_MAX} of a file"
        problems.append(Problem(Kind.OVERSIZED, Severity.WRONG, sentence, entry.inode))
    if version is not None and entry.inode > version:
        sentence = f"{who} has a number above the version of the tree, {version}"
        problems.append(_refused(Kind.INODE_ABOVE_VERSION, sentence, entry))
    if version is not None and entry.version > version:
        sentence = f"{who} has version {entry.version}, the tree only {version}"
        problem = Problem(Kind.VERSION_ABOVE_VERSION, Severity.WRONG, sentence, entry.inode)
        problems.append(problem)
    return replace(claim, problems=tuple(problems))


def name_fault(name: bytes) -> str | None:
    """Return why no entry can be called so, as the end of a sentence; None if it can."""
    if not name:
        return "has no name"
    if name in (b".", b".."):
        return "has a name that means a directory itself or the one above"
    if b"/" in name:
        return "has a slash in its name"
    if b"\0" in name:
        return "has a NUL in its name"
    return None


def _number(stored: Stored, default: int) -> int:
    """Return what was stored as a number, also if it was stored as something else."""
    try:
        return default if stored is None else int(stored)
    except (ValueError, OverflowError):
        return default


def _limit_of(column: str) -> int | None:
    """Return the largest number that is read from a column; None if all of it is."""
    return {"writer": _U32, "mtime": _U32, "type": _U8}.get(column)


def _shown(stored: Stored) -> str:
    if isinstance(stored, bytes):
        return f"'{printable(stored[:40])}'"
    return "nothing" if stored is None else f"'{printable(str(stored)[:40].encode())}'"


def _refused(kind: Kind, sentence: str, entry: Entry) -> Problem:
    return Problem(kind, Severity.REFUSED, sentence, entry.inode)
