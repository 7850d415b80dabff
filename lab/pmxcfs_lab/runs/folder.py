"""The folder that a run leaves: what is in its files, written line by line and read strictly.

    run.json              what was run, the verdict and the violations (`Run`)
    history.jsonl         every call of every client (`CallEvent`)
    observations.jsonl    what every node showed, again and again (`Observation`)
    faults.jsonl          what was injected and healed (`FaultEvent`)
    nodes/NODE/           logs and config.db
    capture.pcap          frames between the nodes, where they can be had
    report.html           all of it to look at

All times `t` are seconds since the run's start. Source: docs/LAB.md, "The folder of a run".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar

import msgspec

from pmxcfs_lab.errors import LabError

FORMAT: Literal[1] = 1

RUN = "run.json"
HISTORY = "history.jsonl"
OBSERVATIONS = "observations.jsonl"
FAULTS = "faults.jsonl"
NODES = "nodes"
CAPTURE = "capture.pcap"
REPORT = "report.html"

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Verdict = Literal["ok", "violated", "aborted"]
Phase = Literal["invoke", "ok", "fail", "unknown"]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that did not hold.

    Attributes:
        validator: whose claim.
        t: the moment it shows.
        text: one sentence for people.
        node: where, if it is one node's.
        op: number of the call that shows it, if one does.
    """

    validator: str
    t: Seconds
    text: str
    node: str | None = None
    op: Count | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What was run, and what came of it.

    Attributes:
        seed: what chose faults and traffic.
        nodes: their names, in order.
        provider: who made them.
        command: the line to repeat it.
        started_unix_s: the moment that `t` counts from.
        binaries: another pmxcfs executable by node; None is ours.
        traffic: names of the kinds.
        duration_s: from the start to the end; 0 while it goes on.
        verdict: "aborted" also while it goes on, so that a run that was killed is seen as one.
        violations: in order of time.
        format: of all files of the folder.
    """

    seed: int
    nodes: tuple[str, ...]
    provider: str
    command: str
    started_unix_s: float
    binaries: dict[str, str | None] = field(default_factory=dict)
    traffic: tuple[str, ...] = ()
    duration_s: Seconds = 0.0
    verdict: Verdict = "aborted"
    violations: tuple[Violation, ...] = ()
    format: Literal[1] = FORMAT


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One moment of a client's call: it begins (invoke), or ends with a result.

    Attributes:
        id: the call's number, the same at its begin and its end.
        client: who calls; one client has one call at a time.
        node: where.
        call: "write", "rename", "mkdir", "read", ...
        phase: "unknown" is an end without an answer: it may have happened or not.
        errno: the name or number of the error, for "fail" and "unknown".
        value: what was written or read, as far as a validator needs it.
    """

    t: Seconds
    id: Count
    client: str
    node: str
    call: str
    path: str
    phase: Phase
    errno: int | str | None = None
    value: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What one node showed at one moment. None means that it could not be told.

    Attributes:
        members: node numbers of its group.
        quorate: what decides about writes.
        sync: "synced", "update", ...
        leader: node number.
        up: by service, whether it answers.
    """

    t: Seconds
    node: str
    members: tuple[int, ...] = ()
    quorate: bool | None = None
    sync: str | None = None
    leader: int | None = None
    tree_version: int | None = None
    up: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """A fault began, ended, or could not be had.

    Attributes:
        fault: {"name": ..., and its fields}; equal at its inject and its heal.
        virtual_t: the time that the seed chose, also the seeded switch's.
        frame: the seeded switch's frame number.
    """

    t: Seconds
    event: Literal["inject", "heal", "refused"]
    fault: dict[str, Any]
    virtual_t: float | None = None
    frame: Count | None = None


class RunWriter:
    """Writes a run's folder while it goes on; every line is on its way to disk when a call returns.

    Threads and processes may write to one folder: a line is one append to the file.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        """Make the folder, or take an empty one.

        Raises:
            LabError: it holds a run already, or cannot be written.
        """
        self._folder = folder
        self._run = run
        if (folder / RUN).exists():
            raise LabError(f"{folder} holds a run already.", "Name another folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = {
                name: (folder / name).open("ab", buffering=0)
                for name in (HISTORY, OBSERVATIONS, FAULTS)
            }
            _write_run(folder, replace(run, verdict="aborted"))
        except OSError as error:
            raise LabError(f"{folder} cannot be written: {error.strerror}.") from error

    def call(self, event: CallEvent) -> None:
        """Record a moment of a client's call."""
        self._append(HISTORY, event)

    def observed(self, observation: Observation) -> None:
        """Record what a node shows."""
        self._append(OBSERVATIONS, observation)

    def fault(self, event: FaultEvent) -> None:
        """Record that a fault began, ended or was refused."""
        self._append(FAULTS, event)

    def node_folder(self, node: str) -> Path:
        """Return the folder for a node's logs and database, which exists then."""
        folder = self._folder / NODES / node
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(
        self, verdict: Verdict, duration_s: float, violations: tuple[Violation, ...] = ()
    ) -> Run:
        """Write what came of the run, and return it."""
        in_order = tuple(sorted(violations, key=lambda violation: violation.t))
        run = replace(self._run, verdict=verdict, duration_s=duration_s, violations=in_order)
        _write_run(self._folder, run)
        return run

    def close(self) -> None:
        """Let go of the files. A run without `finish` stays "aborted"."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, name: str, record: object) -> None:
        self._files[name].write(msgspec.json.encode(record) + b"\n")


def read_run(folder: Path) -> Run:
    """Return what was run there.

    Raises:
        LabError: there is no run, or its run.json is of no use; the message says what is wrong.
    """
    path = folder / RUN
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LabError(
            f"There is no run in {folder}: {RUN}: {error.strerror}.", "Name a run's folder."
        ) from error
    _require_format(path, text)
    return _decode(msgspec.json.Decoder(Run), text, str(path))


def read_history(folder: Path) -> Iterator[CallEvent]:
    """Return the moments of all calls, in the order they were recorded; errors as `read_run`."""
    return _read_lines(folder / HISTORY, CallEvent)


def read_observations(folder: Path) -> Iterator[Observation]:
    """Return what nodes showed, in the order it was recorded; errors as `read_run`."""
    return _read_lines(folder / OBSERVATIONS, Observation)


def read_faults(folder: Path) -> Iterator[FaultEvent]:
    """Return what happened to faults, in the order it was recorded; errors as `read_run`."""
    return _read_lines(folder / FAULTS, FaultEvent)


def _read_lines(path: Path, record: type[Record]) -> Iterator[Record]:
    """Yield one record a line. A last line without its end was torn by a crash and is left out."""
    decoder = msgspec.json.Decoder(record)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _decode(decoder, line, f"{path}, line {number}")
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}.") from error


def _decode(decoder: msgspec.json.Decoder[Record], text: bytes, where: str) -> Record:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabError(f"{where}: {error}", "It was not written by a run, or damaged.") from error


def _require_format(path: Path, text: bytes) -> None:
    """Raise LabError for a run of another format, whose fields we cannot judge."""
    decoder = msgspec.json.Decoder(Mapping[str, msgspec.Raw])
    found = _decode(decoder, text, str(path)).get("format")
    if found is None or bytes(found) != str(FORMAT).encode():
        shown = "none" if found is None else bytes(found).decode()
        raise LabError(f"{path}: format {shown}; this program reads format {FORMAT}.")


def _write_run(folder: Path, run: Run) -> None:
    """Store run.json atomically."""
    new = folder / f"{RUN}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    new.rename(folder / RUN)
