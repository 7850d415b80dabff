"""The survivors that are accepted, each with its reason."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.mutations import Mutant

_FILE = Path(__file__).with_name("accepted.toml")


class Accepted:
    """What ``accepted.toml`` lists; an entry names a mutant by module, place and both lines."""

    def __init__(self) -> None:
        entries = tomllib.loads(_FILE.read_text()).get("mutant", [])
        self._reasons: dict[tuple[str, ...], str] = {
            (entry["module"], entry["where"], entry["was"], entry["now"]): entry["reason"]
            for entry in entries
        }

    def __contains__(self, survivor: tuple[str, Mutant]) -> bool:
        module, mutant = survivor
        return (module, *mutant.key) in self._reasons

    def stale(self, module: str, mutants: Iterable[Mutant]) -> list[tuple[str, ...]]:
        """Return the entries for a module that no mutant of it fits."""
        there = {(module, *mutant.key) for mutant in mutants}
        return [key for key in self._reasons if key[0] == module and key not in there]
