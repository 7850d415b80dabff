"""All that is wrong with a database: the file, each row, what rows say about each other, guests."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pmxcfs.database import Database
from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, Inode
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX, ENTRIES_MAX
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.claims import NOWHERE, Claims, called, claims_of
from pmxcfs.tools.contents import Contents, read_contents
from pmxcfs.tools.copies import private_copy
from pmxcfs.tools.guest_rules import guest_faults
from pmxcfs.tools.placing import Placement, place
from pmxcfs.tools.problems import Kind, Problem, Severity


@dataclass(frozen=True, slots=True)
class Examination:
    """A database as far as it can be read, and everything that is wrong with it.

    Attributes:
        contents: the rows and what is wrong with the file.
        placement: what of the rows forms a sound tree, and what does not.
        problems: all findings, those of the file first, then by inode.
    """

    contents: Contents
    placement: Placement
    problems: tuple[Problem, ...]

    @property
    def is_readable(self) -> bool:
        """Whether there is anything in the database."""
        return bool(self.contents.rows)

    @property
    def is_sound(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(problem.severity is Severity.WARNING for problem in self.problems)


def examine(database: Path) -> Examination:
    """Read a database without changing anything about it, and say all that is wrong with it.

    Args:
        database: its path; its daemon may run.

    Raises:
        StorageError: the file can't be read at all.
    """
    with private_copy(database) as copy:
        contents = read_contents(copy)
        claims = claims_of(contents.rows)
        placement = place(claims)
        problems = list(contents.problems)
        if contents.rows:
            problems += sorted(_problems_of_rows(claims, placement), key=_inode_of)
        if not any(problem.severity is Severity.REFUSED for problem in problems):
            problems += _what_the_daemon_says(copy)
    return Examination(contents, placement, tuple(problems))


def _problems_of_rows(claims: Claims, placement: Placement) -> Iterator[Problem]:
    if claims.root is None:
        sentence = "the version row (inode 0) is missing"
        yield Problem(Kind.NO_VERSION_ROW, Severity.REFUSED, sentence, ROOT_INODE)
    yield from claims.problems
    yield from _structure_problems([claim.entry for claim in claims.others])
    yield from (fault.problem for fault in guest_faults(placement.tree))
    yield from _limit_problems(placement.tree)


def _structure_problems(entries: list[Entry]) -> Iterator[Problem]:
    by_inode: dict[Inode, Entry] = {}
    by_place: dict[tuple[Inode, bytes], Entry] = {}
    for entry in entries:
        if entry.inode in by_inode:
            sentence = f"{called(entry)} has the number of {called(by_inode[entry.inode])}"
            yield _refused(Kind.DUPLICATE_INODE, sentence, entry)
            continue
        by_inode[entry.inode] = entry
        twin = by_place.setdefault((entry.parent, entry.name), entry)
        if twin is not entry:
            sentence = f"{called(entry)} has the same directory and name as {called(twin)}"
            yield _refused(Kind.DUPLICATE_NAME, sentence, entry)
    yield from _parent_problems(by_inode)
    yield from _cycle_problems(by_inode)


def _parent_problems(by_inode: Mapping[Inode, Entry]) -> Iterator[Problem]:
    orphans: dict[Inode, list[Entry]] = defaultdict(list)
    for entry in by_inode.values():
        parent = by_inode.get(entry.parent)
        if entry.parent == ROOT_INODE:
            continue
        if entry.parent == NOWHERE:
            yield _refused(Kind.MISSING_PARENT, f"{called(entry)} is in no directory at all", entry)
        elif parent is None:
            orphans[entry.parent].append(entry)
        elif not parent.is_directory:
            sentence = f"{called(entry)} is in a file instead of a directory: {called(parent)}"
            yield _refused(Kind.FILE_AS_PARENT, sentence, entry)

    for inode, entries in orphans.items():
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        sentence = f"inode {inode} is missing, the directory of {called(entries[0])}{more}"
        yield Problem(Kind.MISSING_PARENT, Severity.REFUSED, sentence, inode)


def _cycle_problems(by_inode: Mapping[Inode, Entry]) -> Iterator[Problem]:
    """Yield each ring of entries once, at its lowest inode."""
    settled: set[Inode] = set()
    for start in by_inode:
        trail: dict[Inode, None] = {}
        inode = start
        while inode in by_inode and inode not in settled and inode not in trail:
            trail[inode] = None
            inode = by_inode[inode].parent
        if inode in trail:
            numbers = list(trail)
            ring = numbers[numbers.index(inode) :]
            first = by_inode[min(ring)]
            others = ", ".join(str(number) for number in sorted(ring) if number != first.inode)
            through = f" through inode {others}" if others else ""
            sentence = f"{called(first)} is in itself{through}"
            yield _refused(Kind.CYCLE, sentence, first)
        settled.update(trail)


def _limit_problems(tree: Tree) -> Iterator[Problem]:
    if tree.content_size_bytes > CONTENT_BYTES_MAX:
        sentence = f"all files have {tree.content_size_bytes} bytes, more than {CONTENT_BYTES_MAX}"
        yield Problem(Kind.TOO_MUCH, Severity.WARNING, sentence)
    if len(tree) > ENTRIES_MAX:
        sentence = f"there are {len(tree)} entries, more than {ENTRIES_MAX}"
        yield Problem(Kind.TOO_MUCH, Severity.WARNING, sentence)


def _what_the_daemon_says(copy: Path) -> Iterable[Problem]:
    """Load the database as the daemon does; whatever it refuses has to be among the problems."""
    try:
        database = Database.open(copy, now_s=0)
        try:
            Memdb(database.load(), now_s=0)
        finally:
            database.close()
    except StorageError as error:
        sentence = str(error).replace(str(copy), "it").partition(". List all")[0]
        return [Problem(Kind.DAEMON, Severity.REFUSED, sentence)]
    return []


def _inode_of(problem: Problem) -> int:
    return -1 if problem.inode is None else problem.inode


def _refused(kind: Kind, sentence: str, entry: Entry) -> Problem:
    return Problem(kind, Severity.REFUSED, sentence, entry.inode)
