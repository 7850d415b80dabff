"""No daemon crashes, dumps core, ends by itself, or logs what it should never have to log."""

import re
from collections.abc import Iterator

from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "crashes"

NEVER = re.compile(
    r"Traceback \(most recent call last\)|Segmentation fault|core dumped|[Aa]ssertion .*failed"
    r"|AddressSanitizer|double free|corrupted size|stack smashing|MemoryError"
)
SERIOUS = re.compile(r"^\[[\w-]+\] (?:error|crit): ")
"""How a line of our daemon's log begins that somebody must look at."""

EXPECTED: dict[str, re.Pattern[str]] = {
    "the end takes too long": re.compile(r"hang|stop|storm|slow|disk"),
    "unmounting takes too long": re.compile(r"hang|stop|storm|slow|disk"),
    "the database failed": re.compile(r"disk|io_|torn|flip|power"),
    "cannot use /var/lib/pve-cluster/config.db": re.compile(r"flip"),
}
"""Beginnings of sentences that belong to some faults, and the names of those."""

CRASHES = frozenset(128 + number for number in (4, 6, 7, 8, 11))
"""Exit statuses for SIGILL, SIGABRT, SIGBUS, SIGFPE and SIGSEGV."""

MARGIN_S = 10.0


def examine(facts: Facts) -> Finding:
    """See the module."""
    lines = sum(text.count("\n") for logs in facts.logs.values() for text in logs.values())
    return Finding(lines, (*_lines(facts), *_exits(facts)))


def _lines(facts: Facts) -> Iterator[Violation]:
    kinds = {span.kind for span in facts.spans}
    for node, logs in facts.logs.items():
        is_ours = facts.run.binaries.get(node) is None
        for name, text in logs.items():
            for line in text.splitlines():
                if NEVER.search(line) or (
                    is_ours and SERIOUS.match(line) and not _is_expected(line, kinds)
                ):
                    words = f"{name}: {line[:300]}"
                    yield Violation(NAME, facts.final.t, words, node=node)


def _is_expected(line: str, kinds: set[str]) -> bool:
    sentence = SERIOUS.sub("", line)
    return any(
        sentence.startswith(beginning) and any(faults.search(kind) for kind in kinds)
        for beginning, faults in EXPECTED.items()
    )


def _exits(facts: Facts) -> Iterator[Violation]:
    for exit_ in facts.final.exits:
        by_fault = any(
            exit_.node in span.nodes(facts.run.nodes)
            and span.began_s - 1 <= exit_.t <= span.ended_s + MARGIN_S
            for span in facts.spans
        )
        if exit_.status in CRASHES or not by_fault:
            words = f"{exit_.service} ended with status {exit_.status}"
            yield Violation(NAME, exit_.t, words, node=exit_.node)
