"""A run written down, line by line, so that it can be run again.

A file has a paragraph of ``#`` lines that says what it is about, then ``nodes N``, then the lines
of ``tests.sim.vocabulary``. Run one with ``python -m tests.sim.transcript FILE``; with ``--logs``
it also shows what the nodes log.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.sim.quiet import be_quiet
from tests.sim.vocabulary import perform
from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Transcript:
    """How many nodes there are, and what happens."""

    node_count: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((f"nodes {self.node_count}", *self.lines)) + "\n"

    def run(self) -> World:
        """Let it all happen; return the world as it is then.

        Raises:
            AssertionError: an expectation or a claim is false; a note names the line.
        """
        world = World(self.node_count)
        for number, line in enumerate(self.lines, 1):
            try:
                perform(world, line)
            except Exception as error:
                error.add_note(f"step {number}: {line}")
                raise
        return world


def parse(text: str) -> Transcript:
    """Read a transcript; comments and empty lines are left out.

    Raises:
        ValueError: the first line does not say how many nodes there are.
    """
    stripped = (line.split("#")[0].strip() for line in text.splitlines())
    lines = [line for line in stripped if line]
    if not lines or not lines[0].startswith("nodes "):
        raise ValueError("a transcript begins with: nodes N")
    return Transcript(int(lines[0].split()[1]), tuple(lines[1:]))


def shortened(transcript: Transcript) -> Transcript:
    """Leave out what a failing run fails without, the same way; slow for long runs."""
    failure = _failure(transcript)
    if failure is None:
        return transcript
    lines = list(transcript.lines)
    chunk = max(1, len(lines) // 2)
    while chunk:
        place = 0
        while place < len(lines):
            candidate = lines[:place] + lines[place + chunk :]
            if _failure(Transcript(transcript.node_count, tuple(candidate))) == failure:
                lines = candidate
            else:
                place += chunk
        chunk //= 2
    return Transcript(transcript.node_count, tuple(lines))


def _failure(transcript: Transcript) -> str | None:
    """Return what kind of failure a run ends in."""
    try:
        transcript.run()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(':')[0]}"
    return None


def main(arguments: Iterable[str]) -> None:
    """Run a transcript from a file."""
    parser = argparse.ArgumentParser(prog="tests.sim.transcript", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--logs", action="store_true", help="show what the nodes log")
    parser.add_argument("--shorten", action="store_true", help="print a shorter run that fails")
    options = parser.parse_args(list(arguments))
    if not options.logs:
        be_quiet()
    transcript = parse(options.file.read_text())
    if options.shorten:
        print(shortened(transcript), end="")
    else:
        transcript.run()


if __name__ == "__main__":
    main(sys.argv[1:])
