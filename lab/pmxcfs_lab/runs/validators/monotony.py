"""Reads of one client never go back, nor behind what its node has acknowledged.

Texts of a file are numbered by their one writer. Only a text that was never promised to last, or a
loss of power of the node, takes a reader back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.facts import Facts
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.history import Call
from pmxcfs_lab.runs.promises import Promises
from pmxcfs_lab.runs.validators.finding import Finding

NAME = "monotony"


@dataclass(frozen=True, slots=True)
class _Floor:
    """The newest text that a reader may not fall behind, and since when."""

    token: str
    since_s: float


def examine(facts: Facts) -> Finding:
    """See the module."""
    reads = [call for call in facts.calls if call.name == "read" and call.is_ok]
    return Finding(len(reads), tuple(_Look(facts).violations()))


class _Look:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._promises = Promises(facts)
        self._writes: Mapping[tuple[str, str], Call] = {
            (call.path, str(call.value)): call for call in facts.calls if call.name == "update"
        }

    def violations(self) -> Iterator[Violation]:
        """Go through all reads, and the answers of writes, in the order of time."""
        seen: dict[tuple[str, str], _Floor] = {}
        answered: dict[tuple[str, str], _Floor] = {}
        answered_before: dict[tuple[str, str], _Floor | None] = {}
        for call, is_begin in self._moments():
            by_client, by_node = (call.client, call.path), (call.node, call.path)
            if call.name == "update":
                answered[by_node] = _Floor(str(call.value), call.until_s)
            elif is_begin:
                answered_before[by_client] = answered.get(by_node)
            else:
                floors = (seen.get(by_client), answered_before[by_client])
                complaint = self._complaint(call, [floor for floor in floors if floor])
                if complaint is not None:
                    yield Violation(NAME, call.until_s, complaint, node=call.node, op=call.id)
                if not str(call.value).startswith(text.TORN):
                    seen[by_client] = _Floor(str(call.value), call.until_s)

    def _moments(self) -> Iterator[tuple[Call, bool]]:
        """Yield answers of writes, and begin (True) and end of reads, in the order of time."""
        moments = []
        for call in self._facts.calls:
            if call.is_ok and call.name == "update":
                moments.append((call.until_s, 0, call.id, call))
            elif call.is_ok and call.name == "read":
                moments.append((call.began_s, 1, call.id, call))
                moments.append((call.until_s, 2, call.id, call))
        for _, kind, _, call in sorted(moments, key=lambda moment: moment[:3]):
            yield call, kind == 1

    def _complaint(self, read: Call, floors: Sequence[_Floor]) -> str | None:
        token = str(read.value)
        if token.startswith(text.TORN):
            return f"{read.client} read a text of {read.path} that is not whole: {token}"
        if token != text.ABSENT:
            write = self._writes.get((read.path, token))
            if write is None:
                return f"{read.client} read {token} in {read.path}, which nobody wrote"
            if write.began_s > read.until_s:
                return f"{read.client} read {token} in {read.path} before it was written"
        for floor in floors:
            if _rank(token) < _rank(floor.token) and not self._may_be_forgotten(read, floor):
                return f"{read.client} read {token} in {read.path} after {floor.token}"
        return None

    def _may_be_forgotten(self, read: Call, floor: _Floor) -> bool:
        write = self._writes.get((read.path, floor.token))
        if write is None or not write.is_ok:
            return True
        promises = self._promises
        is_promised = promises.is_among_the_others(write.node, write.began_s, write.until_s)
        return not (
            is_promised and promises.outlives_outages(write.until_s)
        ) or promises.forgets_between(read.node, floor.since_s, read.until_s)


def _rank(token: str) -> int:
    return -1 if token == text.ABSENT else text.number(token)
