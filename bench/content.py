"""Trees to start from: so many files of a size, as a database."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FILES_IN_A_DIRECTORY = 500


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a tree: how many files, and how many bytes each."""

    name: str
    files: int
    size_bytes: int


def make_database(content: Content, folder: Path) -> Path:
    """Return a config.db with this content, and `last`, which is the last that was made.

    Args:
        content: the files; they differ from each other.
        folder: where to work; its contents may be removed afterwards.
    """
    tree, database = folder / "tree", folder / "config.db"
    for number in range(content.files):
        place = tree / "content" / f"{number // FILES_IN_A_DIRECTORY:03}" / f"file{number:06}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(
            (b"%08d\n" % number * (content.size_bytes // 9 + 1))[: content.size_bytes]
        )
    (tree / "last").write_bytes(b"all is there\n")
    program = [sys.executable, "-m", "pmxcfs.tools.db", "import", str(tree), str(database)]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    return database
