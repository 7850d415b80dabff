"""What the nodes show once all faults have healed: final.json in the folder of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pmxcfs_lab.errors import LabError

FINAL = "final.json"

VALUES_OF = "values of {node}"
"""The view that has what a node knows of the values that this one published."""


@dataclass(frozen=True, slots=True)
class NodeAtTheEnd:
    """One node.

    Attributes:
        tree: entries by path, as `probe.tree_entries` returns them.
        views: what its status files and its local service show, by name, as far as all nodes must
            show the same.
        daemon_since_unix_s: when its daemon was started, as that says itself; None if it told
            nothing.
        rows: digest of the rows of config.db, after a clean end of the daemon; None if there was
            none.
        kept: for each tree that the node kept when it lost it, digests of files by path.
    """

    tree: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    daemon_since_unix_s: float | None = None
    rows: str | None = None
    kept: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """A service ended, however.

    Attributes:
        t: when that was seen.
        status: its exit status, 128 + N for signal N.
    """

    t: float
    node: str
    service: str
    status: int


@dataclass(frozen=True, slots=True)
class Final:
    """All nodes.

    Attributes:
        t: when it was looked at.
        nodes: by name.
        exits: of services, in order of time, but for clean ends.
        not_settled: why the nodes did not come to work as one; None if they did.
    """

    t: float
    nodes: dict[str, NodeAtTheEnd]
    exits: tuple[Exit, ...] = ()
    not_settled: str | None = None

    def write(self, folder: Path) -> None:
        """Store it in the folder of a run."""
        (folder / FINAL).write_bytes(msgspec.json.encode(self) + b"\n")


def read_final(folder: Path) -> Final:
    """Return it.

    Raises:
        LabError: there is none, or it was not written by a run.
    """
    path = folder / FINAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=Final)
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"{path}: {error}") from error


def digests(tree: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the SHA-256 of all files by path."""
    return {path: entry["sha256"] for path, entry in tree.items() if "sha256" in entry}
