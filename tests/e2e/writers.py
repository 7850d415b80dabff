"""Programs that write on nodes all the time, and remember what they were told was done."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab

from .where import PYTHON

ENDS_WITHIN_S = 60.0
GOES_ON_WITHIN_S = 60.0

WRITER = """
import json, os, sys, threading
node, top, progress = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
done, errors, number = [], {}, 0
while not stop.wait(0.01):
    number += 1
    draft, name = f"{top}/{node}.draft", f"{top}/{node}-{number}"
    try:
        with open(draft, "wb", buffering=0) as file:
            file.write(name.encode() * (1 + number % 50))
        os.rename(draft, name)
        done.append(number)
    except OSError as error:
        errors[error.errno] = errors.get(error.errno, 0) + 1
    with open(progress, "w") as file:
        file.write(str(len(done)))
print(json.dumps([done, errors]))
"""
"""Write and rename; until standard input ends. Then print what was done, and errors by number."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One of them.

    Attributes:
        node: where it runs.
        top: the folder in which it writes, on the mount.
        process: the program.
        progress: a file that holds the count of what was done.
    """

    node: str
    top: str
    process: subprocess.Popen[str]
    progress: Path

    def count(self) -> int:
        """Return how many files it was told are written."""
        text = self.progress.read_text() if self.progress.exists() else ""
        return int(text or 0)

    def wait_for_more(self) -> None:
        """Return once it has written more than now."""
        before = self.count()

        def check() -> None:
            assert self.count() > before + 1, f"{self.node} writes no more"

        eventually(check, within_s=GOES_ON_WITHIN_S)

    def finish(self) -> dict[str, bytes]:
        """Stop it; return the content of every file that it was told is written, by name."""
        output, _ = self.process.communicate(timeout=ENDS_WITHIN_S)
        numbers, _ = json.loads(output)
        names = [(number, f"{self.top}/{self.node}-{number}") for number in numbers]
        return {name: name.encode() * (1 + number % 50) for number, name in names}


@contextmanager
def writing(lab: Lab, nodes: Sequence[str], top: str, folder: Path) -> Iterator[dict[str, Writer]]:
    """Write on these nodes as long as the block lasts, and until each is told to finish.

    Args:
        lab: where.
        nodes: whose mounts.
        top: a folder on the mounts; it is made first.
        folder: a folder of this machine, for the program and its progress.
    """
    script = folder / "writer.py"
    script.write_text(WRITER)
    assert lab.exec(nodes[0], "mkdir", "-p", top).exit_status == 0
    writers = {node: _start(lab, node, top, script) for node in nodes}
    try:
        for writer in writers.values():
            writer.wait_for_more()
        yield writers
    finally:
        for writer in writers.values():
            if writer.process.poll() is None:
                writer.process.communicate(timeout=ENDS_WITHIN_S)


def _start(lab: Lab, node: str, top: str, script: Path) -> Writer:
    progress = script.with_name(f"{node}.progress")
    argv = lab.attach_argv(node, [PYTHON, str(script), node, top, str(progress)])
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return Writer(node, top, process, progress)
