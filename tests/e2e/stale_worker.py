"""A process on a node that writes or reads files, and tells in the end what and when.

``stale_worker.py write|read NAME DIRECTORY``; it begins when it hears a line, ends when its input
ends, and prints JSON: of a writer every write as (file, text, start, end), of a reader every run of
reads that saw a text as (file, text, end of the first, start of the last), and how many there were.
A text is one line over and over, so that a mixture of two shows both. Times are those of the
machine's monotonic clock, which all nodes share.
"""

import json
import mmap
import os
import random
import sys
import time
from collections.abc import Callable, Iterator

LINE_BYTES = 16
LINES = {"small": 40, "pages": 700}
"""So long are files that are written in place; names that begin so tell which it is."""

READS_IN_A_ROW = (50, 500, 200)
"""So often a file is read in each way, then comes the next way, or file."""

Look = Callable[[], bytes]


def text_of(writer: str, turn: int, kind: str) -> bytes:
    """Return what a writer writes: the same line over and over."""
    line = f"{writer}.{turn}".encode().ljust(LINE_BYTES - 1, b"-") + b"\n"
    return line * LINES.get(kind, 20 + turn % 30)


def write_in_place(path: str, text: bytes) -> None:
    """Overwrite a file that is as long."""
    descriptor = os.open(path, os.O_WRONLY)
    assert os.pwrite(descriptor, text, 0) == len(text)
    os.close(descriptor)


def replace(path: str, text: bytes) -> None:
    """Put another file in the place of one."""
    with open(f"{path}.{sys.argv[2]}", "xb", buffering=0) as file:  # noqa: PTH123  (is fast)
        file.write(text)
    os.rename(file.name, path)  # noqa: PTH104


def write(name: str, directory: str, files: list[str], is_over: Callable[[], bool]) -> object:
    """Write to all files in turn."""
    writes = []
    chance = random.Random(name)
    turn = 0
    while not is_over():
        turn += 1
        file = chance.choice(files)
        kind = file.partition(".")[0]
        text = text_of(name, turn, kind)
        start = time.monotonic()
        (write_in_place if kind in LINES else replace)(f"{directory}/{file}", text)
        writes.append((file, text[: LINE_BYTES - 1].decode(), start, time.monotonic()))
        time.sleep(chance.random() * 0.02)
    return {"writes": writes}


def looks_at(path: str) -> Iterator[Look]:
    """Yield the ways to read a file: anew, by an open descriptor, and by a mapping of it."""

    def anew() -> bytes:
        opened = os.open(path, os.O_RDONLY)
        try:
            return os.read(opened, 100_000)
        finally:
            os.close(opened)

    yield anew
    if path.rpartition("/")[2].partition(".")[0] not in LINES:
        return
    held = os.open(path, os.O_RDONLY)
    mapping = mmap.mmap(held, 0, mmap.MAP_SHARED, mmap.PROT_READ)

    def mapped() -> bytes:
        os.stat(path)  # noqa: PTH116
        return mapping[:]

    yield lambda: os.pread(held, 100_000, 0)
    yield mapped
    mapping.close()
    os.close(held)


def read(name: str, directory: str, files: list[str], is_over: Callable[[], bool]) -> object:
    """Read all files in turn; one run for each way, as long as it sees the same text."""
    runs: list[list[object]] = []
    latest: dict[tuple[str, int], list[object]] = {}
    count = 0
    while not is_over():
        for file in files:
            for way, look in enumerate(looks_at(f"{directory}/{file}")):
                for _ in range(READS_IN_A_ROW[way]):
                    start = time.monotonic()
                    content = look()
                    end = time.monotonic()
                    count += 1
                    run = latest.get((file, way))
                    line = content[:LINE_BYTES]
                    if content != line * (len(content) // LINE_BYTES) or not content:
                        mixed = sorted({part.decode() for part in content.split(b"\n") if part})
                        runs += ([file, part, end, start] for part in mixed or [""])
                        latest.pop((file, way), None)
                    elif run is not None and run[1] == line[:-1].decode():
                        run[3] = start
                    else:
                        run = [file, line[:-1].decode(), end, start]
                        latest[file, way] = run
                        runs.append(run)
    return {"runs": runs, "reads": count}


def main() -> None:
    """Wait for the word, work, and tell."""
    role, name, directory = sys.argv[1:]
    print("ready", flush=True)
    files = sys.stdin.readline().split()
    os.set_blocking(0, False)

    def is_over() -> bool:
        try:
            return os.read(0, 1) == b""
        except BlockingIOError:
            return False

    print(json.dumps({"write": write, "read": read}[role](name, directory, files, is_over)))


if __name__ == "__main__":
    main()
