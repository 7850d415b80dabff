"""Talking to the lab's switch from other processes."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.links.rules import Quality, Rule, rules_from_json, rules_to_json
from pmxcfs_lab.namespaces import control
from pmxcfs_lab.switch.timing import Entry

ANSWER_WITHIN_S = 10.0


class SwitchControl:
    """A switch that runs.

    Args:
        path: its control socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def lacks(self, quality: Quality) -> str | None:
        """Return why such a quality can't be had: it always can."""
        return None

    def plug_in(self, node: str, node_id: int, link: int, pid: int, interface: str) -> None:
        """Make an interface in the network namespace of a process, and carry its frames."""
        self._ask("plug", node=node, node_id=node_id, link=link, pid=pid, interface=interface)

    def shapes(self) -> dict[str, tuple[Rule, ...]]:
        """Return all rules by their key."""
        found = cast("Mapping[str, list[dict[str, Any]]]", self._ask("shapes"))
        return {key: rules_from_json(rules) for key, rules in found.items()}

    def shape(self, key: str, rules: Sequence[Rule]) -> None:
        """Have these rules for the key instead of those it has; none at all removes it."""
        self._ask("shape", key=key, rules=rules_to_json(rules))

    def clear(self) -> None:
        """Forget all rules."""
        for key in self.shapes():
            self.shape(key, ())

    def begin(self, seed: int, entries: Sequence[Entry]) -> None:
        """Start virtual time, the numbers of frames and all chances anew, with this timetable."""
        listed = [
            {
                "frame": entry.moment.frame,
                "key": entry.key,
                "rules": entry.rules,
                "note": entry.note,
            }
            for entry in entries
        ]
        self._ask("begin", seed=seed, entries=listed)

    def fired(self) -> list[dict[str, Any]]:
        """Return the notes of all entries that fired since `begin`, with their moments."""
        return cast("list[dict[str, Any]]", self._ask("fired"))

    def events(self, within_s: float) -> Iterator[dict[str, Any]]:
        """Yield the note of each entry that fires from now on, as soon as it does.

        Raises:
            LabError: none fired within `within_s`, or the switch is gone.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_s)
            try:
                connection.connect(str(self._path))
                connection.sendall(b'{"verb": "events"}\n')
                for line in connection.makefile("rb"):
                    yield json.loads(line)
            except OSError as error:
                raise LabError(f"The switch says nothing: {error}.") from None
        raise LabError("The switch has ended.")

    def capture(self, path: Path | None) -> None:
        """Write all frames from now on to a file, in pcap's format; None ends it."""
        self._ask("capture", file=None if path is None else str(path))

    def now(self) -> Mapping[str, float]:
        """Return "virtual_t", "frame", and how many frames were "sent" and "lost"."""
        return cast("Mapping[str, float]", self._ask("now"))

    def _ask(self, verb: str, **arguments: object) -> object:
        return control.request(self._path, verb, timeout_s=ANSWER_WITHIN_S, **arguments)
