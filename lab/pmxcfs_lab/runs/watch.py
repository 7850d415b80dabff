"""Looking at all nodes twice a second while a run goes on, and at how services end."""

import threading
import time
from contextlib import suppress

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.runs.final import Exit
from pmxcfs_lab.runs.folder import Observation, RunWriter
from pmxcfs_lab.status import EXITED, NodeStatus

EVERY_S = 0.5


class Watch:
    """Writes observations until it is stopped.

    Attributes:
        exits: of services, as they were seen.
    """

    def __init__(self, lab: Lab, writer: RunWriter, began_s: float) -> None:
        self._lab = lab
        self._writer = writer
        self._began_s = began_s
        self._is_over = threading.Event()
        self._last: dict[tuple[str, str], str] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.exits: list[Exit] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after one more look."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            is_last = self._is_over.is_set()
            with suppress(LabError):
                self._look()
            if is_last:
                return
            self._is_over.wait(EVERY_S)

    def _look(self) -> None:
        rows = self._lab.glances()
        t = round(time.monotonic() - self._began_s, 3)
        for row in rows:
            self._writer.observed(observation(row, t))
            for service, word in (("corosync", row.corosync), ("pmxcfs", row.pmxcfs)):
                self._note_end(t, row.name, service, word)

    def _note_end(self, t: float, node: str, service: str, word: str) -> None:
        if word != self._last.get((node, service)) and word.startswith(EXITED):
            self.exits.append(Exit(t, node, service, int(word.removeprefix(EXITED))))
        self._last[node, service] = word


def observation(row: NodeStatus, t: float) -> Observation:
    """Return what a row of the status table says, for the folder of a run."""
    return Observation(
        t,
        row.name,
        tuple(sorted(int(name.removeprefix("node")) for name in row.members)),
        row.quorate,
        row.sync,
        row.leader,
        row.tree_version,
        {"corosync": row.corosync == "up", "pmxcfs": row.pmxcfs == "up"},
    )
