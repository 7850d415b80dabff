"""A run performed again: whether the same faults came, and the same verdict.

Source: docs/LAB.md, "Seeds".
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pmxcfs_lab.runs.folder import FaultEvent, read_faults, read_run


def faults_as_lines(folder: Path) -> bytes:
    """Return what happened to faults, one line each, without the moments that were measured."""
    return b"".join(_line(event) for event in read_faults(folder))


def differences(first: Path, second: Path) -> Iterator[str]:
    """Say what differs between two runs that should be one another's repetition."""
    one, other = faults_as_lines(first), faults_as_lines(second)
    if one != other:
        yield f"the faults differ: {_first_difference(one, other)}"
    verdicts = read_run(first).verdict, read_run(second).verdict
    if verdicts[0] != verdicts[1]:
        yield f"the verdicts differ: {verdicts[0]}, then {verdicts[1]}"


def _line(event: FaultEvent) -> bytes:
    facts = {
        "event": event.event,
        "fault": event.fault,
        "virtual_t": event.virtual_t,
        "frame": event.frame,
    }
    return msgspec.json.encode(facts, order="sorted") + b"\n"


def _first_difference(one: bytes, other: bytes) -> str:
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    for number, (line, line_again) in enumerate(pairs, start=1):
        if line != line_again:
            return f"line {number}: {line.decode()}, then {line_again.decode()}"
    return f"{len(one.splitlines())} lines, then {len(other.splitlines())}"
