"""Random operations on a real mount: ``python -m tests.fuse.soak DIRECTORY --seed 7 --ops 100000``.

It works in a new directory below the given one, which it removes in the end; ``--keep`` leaves the
files there. The same seed gives the same run. At the first answer that differs from the model's,
it prints the last operations and the first byte that differs, writes the whole transcript into a
file, and exits with 1; ``--replay FILE`` performs such a transcript again.
"""

import argparse
import errno
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.fuse.soak_choice import Choice
from tests.fuse.soak_model import Answer, Model, Mount, Operation, perform

SHOWN_OPERATIONS = 25
OPERATIONS_PER_DIRECTORY = 5000
"""After so many everything is compared and removed, which bounds the length of a transcript."""


class SoakError(AssertionError):
    """The mount answered otherwise than the model; ``lines`` replay it."""

    def __init__(self, what: str, lines: list[str]) -> None:
        last = "\n".join(lines[-SHOWN_OPERATIONS:])
        super().__init__(f"{what}\nthe last of {len(lines)} operations:\n{last}")
        self.lines = lines


class Soak:
    """A directory of the mount, its model, and what was done to both."""

    def __init__(self, directory: Path) -> None:
        self.model = Model()
        self.lines: list[str] = []
        self._mount = Mount(directory)

    def perform(self, operation: Operation) -> None:
        """Do an operation on both and compare.

        Raises:
            SoakError: the answers differ.
        """
        self.lines.append(str(operation))
        seen, refusal = _answer(self._mount, operation)
        self.model.seen = seen
        expected, expected_refusal = _answer(self.model, operation)
        if refusal != expected_refusal or seen != expected:
            wanted = _shown(expected, expected_refusal)
            difference = (
                _difference(seen, expected) or f"{_shown(seen, refusal)}, {wanted} is right"
            )
            raise SoakError(f"{operation}: {difference}", self.lines)

    def compare_all(self) -> None:
        """Compare everything that there is, by name and by descriptor."""
        for operation in self._everything():
            self.perform(operation)

    def close(self) -> None:
        """Close the descriptors."""
        self._mount.close_all()

    def _everything(self) -> Iterator[Operation]:
        yield Operation("names", ())
        for name in sorted(self.model.files):
            yield Operation("size", (name,))
            yield Operation("content", (name,))
        for slot, file in sorted(self.model.slots.items()):
            yield Operation("fsize", (slot,))
            if file.is_readable:
                yield Operation("pread", (slot, 0, len(file.data) + 1))


def run(directory: Path, seed: str, count: int) -> None:
    """Let chance do so many operations in an empty directory, and compare all at the end.

    Raises:
        SoakError: something differs.
    """
    soak, choice = Soak(directory), Choice(random.Random(seed))
    try:
        for _ in range(count):
            soak.perform(choice.next(soak.model))
        soak.compare_all()
    finally:
        soak.close()


def replay(directory: Path, lines: Iterable[str]) -> None:
    """Perform a transcript in an empty directory.

    Raises:
        SoakError: something differs.
    """
    soak = Soak(directory)
    try:
        for line in lines:
            soak.perform(Operation.parse(line))
    finally:
        soak.close()


def _answer(on: Mount | Model, operation: Operation) -> tuple[Answer, int | None]:
    try:
        return perform(on, operation), None
    except OSError as refusal:
        return None, refusal.errno


def _shown(answer: Answer, refusal: int | None) -> str:
    if refusal is not None:
        return errno.errorcode[refusal]
    return f"{len(answer)} bytes" if isinstance(answer, bytes) else str(answer)


def _difference(seen: Answer, expected: Answer) -> str:
    """Name the first byte that differs, if both are bytes."""
    if not isinstance(seen, bytes) or not isinstance(expected, bytes):
        return ""
    lengths = f"{len(seen)} bytes, {len(expected)} are right"
    for place, (left, right) in enumerate(zip(seen, expected, strict=False)):
        if left != right:
            return f"{lengths}: byte {place} is {left:#04x}, {right:#04x} is right"
    return f"{lengths}: equal as far as both go"


def _remove(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def soak(where: Path, seed: int, count: int, *, keep: bool = False) -> None:
    """Do so many operations, in a new directory after every few thousand; say how far it is."""
    done = part = 0
    while done < count:
        directory = where / f"soak-{seed}-{part}"
        directory.mkdir()
        now = min(OPERATIONS_PER_DIRECTORY, count - done)
        run(directory, f"{seed}/{part}", now)
        done, part = done + now, part + 1
        if done < count:
            print(f"seed {seed}: {done} of {count} operations, no difference", flush=True)
        if not keep:
            _remove(directory)


def main(arguments: Iterable[str]) -> int:
    """Soak or replay; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuse.soak", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args(list(arguments))
    start_s = time.monotonic()
    try:
        if options.replay is None:
            soak(options.directory, options.seed, options.ops, keep=options.keep)
        else:
            directory = options.directory / f"replay-{options.seed}"
            directory.mkdir()
            replay(directory, options.replay.read_text().splitlines())
    except SoakError as error:
        with tempfile.NamedTemporaryFile(
            "w", prefix="soak-", suffix=".transcript", delete=False
        ) as transcript:
            transcript.write("\n".join(error.lines) + "\n")
        print(f"{error}\nthe transcript is {transcript.name}")
        return 1
    if options.replay is None:
        speed = options.ops / (time.monotonic() - start_s)
        print(f"seed {options.seed}: {options.ops} operations, no difference, {speed:.0f}/s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
