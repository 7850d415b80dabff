"""Write pages and completions of programs: ``python -m manual DIRECTORY PROGRAM...``."""

import sys
from pathlib import Path

from manual import shells
from manual.pages import HAND_WRITTEN, SECTION, page
from manual.surface import PROGRAMS
from pmxcfs import __version__

SHELLS = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}
NAMES = {"bash": "{}", "zsh": "_{}", "fish": "{}.fish"}


def write(directory: Path, programs: list[str]) -> None:
    """Write everything of these programs below a directory."""
    for name in ("man", *SHELLS):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for program in programs:
        surface = PROGRAMS[program]()
        manual = directory / "man" / f"{program}.{SECTION[program]}"
        manual.write_text(page(surface, __version__))
        for name, render in SHELLS.items():
            (directory / name / NAMES[name].format(program)).write_text(render(surface))
    (directory / "man" / "pmxcfs.5").write_text((HAND_WRITTEN / "pmxcfs.5").read_text())


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
