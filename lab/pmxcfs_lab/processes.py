"""Processes that outlive the command that started them, and are never mistaken for others."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.errors import LabError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

RECORD_THEN_EXEC = """\
record=$1
shift
read -r stat < /proc/$$/stat
read -r boot < /proc/sys/kernel/random/boot_id
printf '%s\\n%s\\n' "$stat" "$boot" > "$record.new" && mv "$record.new" "$record" || exit 1
exec "$@" < /dev/null
"""
"""The process writes its own record before it becomes anything that must be cleaned up, and holds
the lab's lock, as its standard input, until then: whoever gets the lock next finds every process in
a record."""

RECORD_WITHIN_S = 10.0
DEATH_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process among all that ever had its number.

    Attributes:
        pid: the number.
        started_ticks: clock ticks from boot to its start.
        boot_id: which boot.
    """

    pid: int
    started_ticks: int
    boot_id: str


def spawn(argv: Sequence[str], record: Path, *, guard_fd: int, log: Path) -> ProcessRecord:
    """Start argv in a session of its own, recorded in a file; return as soon as it is.

    Args:
        argv: the command.
        record: where the process writes its record; the folder exists.
        guard_fd: kept open by the process until the record is written.
        log: takes its output.

    Raises:
        LabError: it did not record itself.
    """
    record.unlink(missing_ok=True)
    shell = ["sh", "-c", RECORD_THEN_EXEC, "sh", str(record), *argv]
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *shell],
            stdin=guard_fd,
            stdout=output,
            stderr=output,
            check=True,
        )
    deadline_s = time.monotonic() + RECORD_WITHIN_S
    while time.monotonic() < deadline_s:
        found = read_record(record)
        if found is not None:
            return found
        time.sleep(0.002)
    raise LabError(f"{argv[0]} did not start within {RECORD_WITHIN_S:.0f} s.", f"See {log}.")


def read_record(path: Path) -> ProcessRecord | None:
    """Return the record, or None if there is none or it is not whole."""
    try:
        stat, boot_id = path.read_text().splitlines()
        return _parse_stat(stat, boot_id)
    except (FileNotFoundError, ValueError, IndexError):
        return None


def is_alive(record: ProcessRecord) -> bool:
    """Tell if exactly this process still runs. A zombie does not."""
    if record.boot_id != BOOT_ID.read_text().strip():
        return False
    try:
        stat = Path(f"/proc/{record.pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    state = stat.rpartition(")")[2].split()[0]
    return _parse_stat(stat, record.boot_id) == record and state not in "ZX"


def own_record() -> ProcessRecord:
    """Return the record of the calling process."""
    return _parse_stat(Path("/proc/self/stat").read_text(), BOOT_ID.read_text())


def only_child(record: ProcessRecord) -> int | None:
    """Return the number of the process's first child, or None if it has none."""
    path = Path(f"/proc/{record.pid}/task/{record.pid}/children")
    with suppress(FileNotFoundError, ProcessLookupError):
        children = path.read_text().split()
        return int(children[0]) if children else None
    return None


def kill_and_wait(record: ProcessRecord, *, with_child: bool) -> bool:
    """End the process and, if told, its child first; return False if it did not run.

    Args:
        record: whom.
        with_child: the process is the parent of a pid namespace's init. The init is gone only
            after every process of its namespace is.

    Raises:
        LabError: it still exists after DEATH_WITHIN_S.
    """
    handles = _open_handles(record, with_child=with_child)
    try:
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        deadline_s = time.monotonic() + DEATH_WITHIN_S
        for handle in handles:
            if not _wait_for_end(handle, deadline_s):
                raise LabError(
                    f"Process {record.pid} (or its child) does not die.",
                    f"Look at /proc/{record.pid}/task/*/children and their stack, then try again.",
                )
    finally:
        for handle in handles:
            os.close(handle)
    return bool(handles)


def _open_handles(record: ProcessRecord, *, with_child: bool) -> list[int]:
    """Return pidfds of the child, if wanted, and of the process; none if it does not run."""
    with suppress(ProcessLookupError):
        parent = os.pidfd_open(record.pid)
        if not is_alive(record):  # the number may have gone to a stranger before we opened it
            os.close(parent)
            return []
        child = only_child(record) if with_child else None
        if child is not None:
            with suppress(ProcessLookupError):
                return [os.pidfd_open(child), parent]
        return [parent]
    return []


def _wait_for_end(handle: int, deadline_s: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(max(0, deadline_s - time.monotonic()) * 1000))


def _parse_stat(stat: str, boot_id: str) -> ProcessRecord:
    """Read /proc/PID/stat: the name in brackets may hold anything, so count from its end."""
    head, _, tail = stat.rpartition(")")
    return ProcessRecord(int(head.split()[0]), int(tail.split()[19]), boot_id.strip())
