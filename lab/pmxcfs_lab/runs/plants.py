"""Positive controls: for each validator a daemon with a bug that it must find.

Source: docs/LAB.md, "Validators".
"""

import sys
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.validators.catalogue import BY_NAME

PROGRAM = "pmxcfs_lab.runs.planted"

WRAPPER = """\
#!/bin/sh
exec {python} -m {program} {bug} "$@"
"""

SECONDS = {"progress": 25.0, "keeping": 40.0}
"""How long a run must be for a bug to show; for the others MOMENT_S is enough."""

MOMENT_S = 12.0

SCENARIOS = {"keeping": "stale-node-with-edits"}
"""Where a bug shows, if not in the one without faults."""


def write_binary(bug: str, folder: Path) -> Path:
    """Write an executable that is our daemon with a bug into a folder; return its path.

    Raises:
        LabError: there is no such bug.
    """
    if bug not in BY_NAME:
        raise LabError(f'No bug is planted for "{bug}".', f"Known: {', '.join(BY_NAME)}.")
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / f"pmxcfs-without-{bug}").resolve()
    path.write_text(WRAPPER.format(python=sys.executable, program=PROGRAM, bug=bug))
    path.chmod(0o755)
    return path


def scenario(bug: str) -> str:
    """Return the name of the scenario in which a bug shows."""
    return SCENARIOS.get(bug, "calm")


def seconds(bug: str) -> float:
    """Return how long a run must be for a bug to show."""
    return SECONDS.get(bug, MOMENT_S)
